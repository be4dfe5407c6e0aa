/* The three buttons, and how the host is told that there is something new to see. */
#include <string.h>

#include "infusion.h"
#include "system.h"

/* A value that has changed is what makes every host render anew. */
static void show_anew(const Instance *instance)
{
    OfxParamHandle version = instance->own[PARAM_RESULT_VERSION];
    int shown = param_integer(version);
    if (version)
        host.parameter->paramSetValue(version, shown < INT32_MAX ? shown + 1 : 0);
}

/* Where a finished frame would not be laid over this picture, says so. */
static void warn_of_size(const Instance *instance, double time, char *line, size_t size)
{
    Image image;
    Fill fill;
    if (image_fetch(instance->source, time, &image) == 0 &&
        fill_read(instance, frame_at(instance, time), &fill) == 0) {
        if (!fill_fits(&fill, image.region, image.scale))
            snprintf(line, size, "not shown: the result is %d x %d, this picture is %d x %d",
                     fill.width, fill.height, image.region.x2, image.region.y2);
        fill_free(&fill);
    }
    image_release(&image);
}

static void refresh(const Instance *instance, double time)
{
    char line[2 * LINE_SIZE];
    status_line(instance, line, sizeof line);
    warn_of_size(instance, time, line, sizeof line);
    tell(instance, line);
    show_anew(instance);
}

static void stop(const Instance *instance)
{
    char folder[PATH_SIZE], path[PATH_SIZE + 32];
    FILE *file = NULL;
    if (engine_folder(instance, folder, sizeof folder) != 0) {
        tell(instance, "there is no job to stop yet; one that was just launched takes a moment");
        return;
    }
    if (join(path, sizeof path, folder, "/cancel", NULL) == 0)
        file = system_open(path, "ab");
    if (!file) {
        tell_error(instance, "the job cannot be stopped: its folder may not be written");
        return;
    }
    fclose(file);
    tell(instance, "asked to stop; it writes a checkpoint first");
}

static int says(OfxPropertySetHandle in, const char *name, const char *wanted)
{
    char *found = NULL;
    host.property->propGetString(in, name, 0, &found);
    return found && strcmp(found, wanted) == 0;
}

OfxStatus instance_changed(OfxImageEffectHandle effect, OfxPropertySetHandle in)
{
    Instance *instance = instance_of(effect);
    double time = 0;
    /* What we set ourselves comes back here as well: only the artist's hand is acted upon. */
    if (!instance || !says(in, kOfxPropType, kOfxTypeParameter) ||
        !says(in, kOfxPropChangeReason, kOfxChangeUserEdited))
        return kOfxStatReplyDefault;
    host.property->propGetDouble(in, kOfxPropTime, 0, &time);
    if (says(in, kOfxPropName, own_param_names[PARAM_LAUNCH]))
        launch(instance);
    else if (says(in, kOfxPropName, own_param_names[PARAM_STOP]))
        stop(instance);
    else if (says(in, kOfxPropName, own_param_names[PARAM_REFRESH]))
        refresh(instance, time);
    else
        return kOfxStatReplyDefault;
    return kOfxStatOK;
}
