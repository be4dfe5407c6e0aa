/* A frame: the source, with the finished fill over its hole where there is one. */
#include <string.h>

#include "infusion.h"

typedef struct {
    double time;
    OfxRectI window;
    double scale[2];
} Task;

static Task read_task(OfxPropertySetHandle in)
{
    Task task = {0, {0, 0, 0, 0}, {1, 1}};
    host.property->propGetDouble(in, kOfxPropTime, 0, &task.time);
    host.property->propGetIntN(in, kOfxImageEffectPropRenderWindow, 4, &task.window.x1);
    host.property->propGetDoubleN(in, kOfxImageEffectPropRenderScale, 2, task.scale);
    if (!(task.scale[0] > 0 && task.scale[1] > 0))
        task.scale[0] = task.scale[1] = 1;
    return task;
}

OfxStatus is_identity(OfxImageEffectHandle effect, OfxPropertySetHandle in,
                      OfxPropertySetHandle out)
{
    Instance *instance = instance_of(effect);
    double time = 0;
    if (!instance || param_integer(instance->own[PARAM_CAPTURE]))
        return kOfxStatReplyDefault; /* a frame that is passed by would not be captured */
    host.property->propGetDouble(in, kOfxPropTime, 0, &time);
    if (fill_exists(instance, frame_at(instance, time)))
        return kOfxStatReplyDefault;
    host.property->propSetString(out, kOfxPropName, 0, kOfxImageEffectSimpleSourceClipName);
    host.property->propSetDouble(out, kOfxPropTime, 0, time);
    return kOfxStatOK;
}

/* Copies the source's own bits; black where it has none. */
static void copy_source(const Image *source, const Image *output, OfxRectI window)
{
    OfxRectI area = intersect(window, output->bounds), both = intersect(area, source->bounds);
    size_t pixel = 4 * sizeof(float);
    int y;
    for (y = area.y1; y < area.y2 && area.x1 < area.x2; y++) {
        if (y < both.y1 || y >= both.y2 || both.x1 > area.x1 || both.x2 < area.x2)
            memset(image_pixel(output, area.x1, y), 0, pixel * (size_t)(area.x2 - area.x1));
        if (y >= both.y1 && y < both.y2 && both.x1 < both.x2)
            memcpy(image_pixel(output, both.x1, y), image_pixel(source, both.x1, y),
                   pixel * (size_t)(both.x2 - both.x1));
    }
}

static void draw(const Instance *instance, const Task *task, const Image *source,
                 const Image *output)
{
    Fill fill;
    copy_source(source, output, task->window);
    if (param_integer(instance->own[PARAM_CAPTURE])) {
        capture(instance, source, task->time);
        return;
    }
    if (fill_read(instance, frame_at(instance, task->time), &fill) == 0 &&
        fill_fits(&fill, source->region, output->scale))
        fill_lay(&fill, source, output, task->window);
    fill_free(&fill);
}

/* What a missing image means: the host has asked for a stop, or something is wrong. */
static OfxStatus failed(OfxImageEffectHandle effect)
{
    return host.effect->abort(effect) ? kOfxStatOK : kOfxStatFailed;
}

OfxStatus render(OfxImageEffectHandle effect, OfxPropertySetHandle in)
{
    Instance *instance = instance_of(effect);
    Task task = read_task(in);
    Image output, source;
    OfxStatus status = kOfxStatOK;
    if (!instance)
        return kOfxStatFailed;
    if (image_fetch(instance->output, task.time, &output) != 0)
        return failed(effect);
    if (image_fetch(instance->source, task.time, &source) == 0 && output.channels == 4 &&
        source.channels == 4) {
        memcpy(output.scale, task.scale, sizeof task.scale); /* some hosts set none on images */
        memcpy(source.scale, task.scale, sizeof task.scale);
        draw(instance, &task, &source, &output);
    } else {
        status = failed(effect);
    }
    image_release(&source);
    image_release(&output);
    return status;
}
