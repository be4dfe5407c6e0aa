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

/* The picture of the source in its own pixels. Not by its image: a host may crash when a button
 * fetches one, and Refresh has to work in all of them. 0 when the host tells. */
static int source_region(const Instance *instance, double time, OfxRectI *region)
{
    OfxPropertySetHandle props;
    OfxRectD area;
    double aspect = 1;
    if (!instance->source ||
        host.effect->clipGetRegionOfDefinition(instance->source, time, &area) != kOfxStatOK ||
        !(area.x1 >= -1e6 && area.y1 >= -1e6 && area.x2 <= 1e6 && area.y2 <= 1e6))
        return -1;
    if (host.effect->clipGetPropertySet(instance->source, &props) == kOfxStatOK)
        host.property->propGetDouble(props, kOfxImagePropPixelAspectRatio, 0, &aspect);
    if (!(aspect > 0.01))
        aspect = 1;
    region->x1 = (int)(area.x1 / aspect);
    region->x2 = (int)(area.x2 / aspect + 0.5);
    region->y1 = (int)area.y1;
    region->y2 = (int)(area.y2 + 0.5);
    return 0;
}

/* Where a finished frame would not be laid over this picture, says so. */
static void warn_of_size(const Instance *instance, double time, char *line, size_t size)
{
    static const double full[2] = {1, 1};
    OfxRectI region;
    Fill fill;
    if (source_region(instance, time, &region) != 0)
        return;
    if (fill_read(instance, frame_at(instance, time), &fill) == 0 &&
        !fill_fits(&fill, region, full))
        snprintf(line, size, "not shown: the result is %d x %d, this picture is %d x %d",
                 fill.width, fill.height, region.x2, region.y2);
    fill_free(&fill);
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
