/* One node: its clips and parameters, and what they say. Nothing else is kept between two calls, so
 * that any thread may render while another changes a parameter. */
#include <stdlib.h>
#include <string.h>

#include "infusion.h"

static OfxParamHandle find_param(OfxParamSetHandle set, const char *name)
{
    OfxParamHandle param = NULL;
    if (host.parameter->paramGetHandle(set, name, &param, NULL) != kOfxStatOK)
        return NULL;
    return param;
}

static OfxImageClipHandle find_clip(OfxImageEffectHandle effect, const char *name)
{
    OfxImageClipHandle clip = NULL;
    if (host.effect->clipGetHandle(effect, name, &clip, NULL) != kOfxStatOK)
        return NULL;
    return clip;
}

OfxStatus instance_create(OfxImageEffectHandle effect)
{
    OfxPropertySetHandle props;
    OfxParamSetHandle set;
    Instance *made;
    int i;
    if (host.effect->getPropertySet(effect, &props) != kOfxStatOK ||
        host.effect->getParamSet(effect, &set) != kOfxStatOK)
        return kOfxStatFailed;
    made = calloc(1, sizeof *made + (size_t)job_param_count * sizeof made->job[0]);
    if (!made)
        return kOfxStatErrMemory;
    made->effect = effect;
    made->output = find_clip(effect, kOfxImageEffectOutputClipName);
    made->source = find_clip(effect, kOfxImageEffectSimpleSourceClipName);
    made->matte = find_clip(effect, MATTE_CLIP);
    for (i = 0; i < OWN_PARAM_COUNT; i++)
        made->own[i] = find_param(set, own_param_names[i]);
    for (i = 0; i < job_param_count; i++)
        made->job[i] = find_param(set, job_params[i].name);
    host.property->propSetPointer(props, kOfxPropInstanceData, 0, made);
    return kOfxStatOK;
}

Instance *instance_of(OfxImageEffectHandle effect)
{
    OfxPropertySetHandle props;
    void *found = NULL;
    if (host.effect->getPropertySet(effect, &props) != kOfxStatOK ||
        host.property->propGetPointer(props, kOfxPropInstanceData, 0, &found) != kOfxStatOK)
        return NULL;
    return found;
}

OfxStatus instance_destroy(OfxImageEffectHandle effect)
{
    OfxPropertySetHandle props;
    free(instance_of(effect));
    if (host.effect->getPropertySet(effect, &props) == kOfxStatOK)
        host.property->propSetPointer(props, kOfxPropInstanceData, 0, NULL);
    return kOfxStatOK;
}

int param_text(OfxParamHandle param, char *text, size_t size)
{
    char *found = NULL;
    text[0] = 0;
    if (!param || host.parameter->paramGetValue(param, &found) != kOfxStatOK || !found)
        return -1;
    return join(text, size, found, NULL);
}

int param_integer(OfxParamHandle param)
{
    int value = 0;
    if (!param || host.parameter->paramGetValue(param, &value) != kOfxStatOK)
        return 0;
    return value;
}

double param_real(OfxParamHandle param)
{
    double value = 0;
    if (!param || host.parameter->paramGetValue(param, &value) != kOfxStatOK)
        return 0;
    return value;
}

int job_path(const Instance *instance, const char *name, char *path, size_t size)
{
    char folder[PATH_SIZE];
    if (param_text(instance->own[PARAM_JOB_FOLDER], folder, sizeof folder) != 0 || !folder[0])
        return -1;
    return join(path, size, folder, "/", name, NULL);
}

int frame_at(const Instance *instance, double time)
{
    /* A time that is no number of a frame, or no number at all, must not overflow. */
    double nearest = time >= -1e9 && time <= 1e9 ? time : 0;
    int whole = (int)(nearest < 0 ? nearest - 0.5 : nearest + 0.5);
    return whole + param_integer(instance->own[PARAM_FRAME_OFFSET]);
}

int clip_is_connected(OfxImageClipHandle clip)
{
    OfxPropertySetHandle props;
    int connected = 0;
    if (!clip || host.effect->clipGetPropertySet(clip, &props) != kOfxStatOK)
        return 0;
    host.property->propGetInt(props, kOfxImageClipPropConnected, 0, &connected);
    return connected;
}

void tell(const Instance *instance, const char *text)
{
    char line[LINE_SIZE];
    snprintf(line, sizeof line, "%s", text);
    make_printable(line);
    if (instance->own[PARAM_STATUS])
        host.parameter->paramSetValue(instance->own[PARAM_STATUS], line);
}

void tell_error(const Instance *instance, const char *text)
{
    tell(instance, text);
    if (host.message)
        host.message->message(instance->effect, kOfxMessageError, "infusion", "%s", text);
}
