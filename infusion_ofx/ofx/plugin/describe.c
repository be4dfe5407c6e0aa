/* What the host is told about the plug-in: contexts, clips and parameters. */
#include <string.h>

#include "infusion.h"

const char *const own_param_names[OWN_PARAM_COUNT] = {
    "job_folder", "input", "frame_offset", "capture", "shown_take",
    "launch",     "stop",  "refresh",      "status",  "result_version",
};

static const char more_group[] = "more";

OfxStatus describe(OfxImageEffectHandle effect)
{
    const OfxPropertySuiteV1 *set = host.property;
    OfxPropertySetHandle props;
    OfxStatus status = host.effect->getPropertySet(effect, &props);
    if (status != kOfxStatOK)
        return status;
    /* A property that an older host does not know is no fault: what it answers is not looked at. */
    set->propSetString(props, kOfxPropLabel, 0, "Infusion");
    set->propSetString(props, kOfxImageEffectPluginPropGrouping, 0, "Infusion");
    set->propSetString(props, kOfxImageEffectPropSupportedContexts, 0,
                       kOfxImageEffectContextFilter);
    set->propSetString(props, kOfxImageEffectPropSupportedContexts, 1,
                       kOfxImageEffectContextGeneral);
    set->propSetString(props, kOfxImageEffectPropSupportedPixelDepths, 0, kOfxBitDepthFloat);
    set->propSetString(props, kOfxImageEffectPluginRenderThreadSafety, 0,
                       kOfxImageEffectRenderFullySafe);
    set->propSetInt(props, kOfxImageEffectPluginPropHostFrameThreading, 0, 0);
    set->propSetInt(props, kOfxImageEffectPropSupportsTiles, 0, 0);
    set->propSetInt(props, kOfxImageEffectPropSupportsMultiResolution, 0, 0);
    set->propSetInt(props, kOfxImageEffectPropTemporalClipAccess, 0, 1); /* Launch asks for all */
    return kOfxStatOK;
}

/* Defines a clip of RGBA floats; NULL where the host refuses. */
static OfxPropertySetHandle define_clip(OfxImageEffectHandle effect, const char *name)
{
    OfxPropertySetHandle props = NULL;
    if (host.effect->clipDefine(effect, name, &props) != kOfxStatOK)
        return NULL;
    host.property->propSetString(props, kOfxImageEffectPropSupportedComponents, 0,
                                 kOfxImageComponentRGBA);
    host.property->propSetInt(props, kOfxImageEffectPropTemporalClipAccess, 0,
                              strcmp(name, kOfxImageEffectOutputClipName) != 0);
    return props;
}

static int define_matte(OfxImageEffectHandle effect)
{
    OfxPropertySetHandle props = define_clip(effect, MATTE_CLIP);
    if (!props)
        return -1;
    host.property->propSetString(props, kOfxImageEffectPropSupportedComponents, 0,
                                 kOfxImageComponentAlpha);
    host.property->propSetString(props, kOfxImageEffectPropSupportedComponents, 1,
                                 kOfxImageComponentRGBA);
    host.property->propSetInt(props, kOfxImageClipPropOptional, 0, 1);
    host.property->propSetInt(props, kOfxImageClipPropIsMask, 0, 1);
    return 0;
}

/* Defines a parameter that does not change over time; NULL where the host refuses. */
static OfxPropertySetHandle define(OfxParamSetHandle set, const char *type, const char *name,
                                   const char *label, const char *hint)
{
    OfxPropertySetHandle props = NULL;
    if (host.parameter->paramDefine(set, type, name, &props) != kOfxStatOK)
        return NULL;
    host.property->propSetString(props, kOfxPropLabel, 0, label);
    host.property->propSetString(props, kOfxParamPropHint, 0, hint);
    if (strcmp(type, kOfxParamTypeGroup) != 0 && strcmp(type, kOfxParamTypePushButton) != 0)
        host.property->propSetInt(props, kOfxParamPropAnimates, 0, 0);
    return props;
}

static void limit_integer(OfxPropertySetHandle props, int standard, int least, int most)
{
    host.property->propSetInt(props, kOfxParamPropDefault, 0, standard);
    host.property->propSetInt(props, kOfxParamPropMin, 0, least);
    host.property->propSetInt(props, kOfxParamPropMax, 0, most);
    host.property->propSetInt(props, kOfxParamPropDisplayMin, 0, least);
    host.property->propSetInt(props, kOfxParamPropDisplayMax, 0, most);
}

static void limit_real(OfxPropertySetHandle props, double standard, double least, double most)
{
    host.property->propSetDouble(props, kOfxParamPropDefault, 0, standard);
    host.property->propSetDouble(props, kOfxParamPropMin, 0, least);
    host.property->propSetDouble(props, kOfxParamPropMax, 0, most);
    host.property->propSetDouble(props, kOfxParamPropDisplayMin, 0, least);
    host.property->propSetDouble(props, kOfxParamPropDisplayMax, 0, most);
}

static void list_options(OfxPropertySetHandle props, const char *const *options, int standard)
{
    int i;
    for (i = 0; options[i]; i++)
        host.property->propSetString(props, kOfxParamPropChoiceOption, i, options[i]);
    host.property->propSetInt(props, kOfxParamPropDefault, 0, standard);
}

/* A path to files that may not be there yet. mode: which dialogue helps to choose it. */
static void make_path(OfxPropertySetHandle props, const char *mode, const char *standard)
{
    host.property->propSetString(props, kOfxParamPropStringMode, 0, mode);
    host.property->propSetInt(props, kOfxParamPropStringFilePathExists, 0, 0);
    host.property->propSetString(props, kOfxParamPropDefault, 0, standard);
}

static const char *const ofx_types[] = {
    kOfxParamTypeString, kOfxParamTypeString,  kOfxParamTypeInteger,
    kOfxParamTypeDouble, kOfxParamTypeBoolean, kOfxParamTypeChoice,
};

/* A setting of the job: it changes no picture by itself, so that the host renders nothing anew. */
static void define_job_param(OfxParamSetHandle set, const JobParam *param)
{
    OfxPropertySetHandle props =
        define(set, ofx_types[param->type], param->name, param->label, param->hint);
    if (!props)
        return;
    if (param->type == JOB_FILE)
        make_path(props, kOfxParamStringIsFilePath, param->text);
    else if (param->type == JOB_TEXT)
        host.property->propSetString(props, kOfxParamPropDefault, 0, param->text);
    else if (param->type == JOB_INTEGER)
        limit_integer(props, (int)param->standard, (int)param->least, (int)param->most);
    else if (param->type == JOB_REAL)
        limit_real(props, param->standard, param->least, param->most);
    else if (param->type == JOB_SWITCH)
        host.property->propSetInt(props, kOfxParamPropDefault, 0, (int)param->standard);
    else
        list_options(props, param->choices, (int)param->standard);
    host.property->propSetInt(props, kOfxParamPropEvaluateOnChange, 0, 0);
    if (!param->front)
        host.property->propSetString(props, kOfxParamPropParent, 0, more_group);
}

static void define_job_params(OfxParamSetHandle set, int front)
{
    int i;
    for (i = 0; i < job_param_count; i++)
        if (job_params[i].front == front)
            define_job_param(set, &job_params[i]);
}

static void define_input(OfxParamSetHandle set)
{
    static const char *const options[] = {"files", "frames of this host", "captured frames", NULL};
    OfxPropertySetHandle props =
        define(set, kOfxParamTypeChoice, own_param_names[PARAM_INPUT], "Input",
               "files: the plate and matte files named below. frames of this host: Launch fetches "
               "every frame of Source and Matte. captured frames: those that Capture has kept.");
    if (props) {
        list_options(props, options, INPUT_FILES);
        host.property->propSetInt(props, kOfxParamPropEvaluateOnChange, 0, 0);
    }
}

static void define_place(OfxParamSetHandle set)
{
    OfxPropertySetHandle props =
        define(set, kOfxParamTypeString, own_param_names[PARAM_JOB_FOLDER], "Job folder",
               "A folder of this node's own, on a disk that the engine's machine sees too. All "
               "that is known about the job is kept there.");
    if (props)
        make_path(props, kOfxParamStringIsDirectoryPath, "");
}

static void define_take(OfxParamSetHandle set)
{
    OfxPropertySetHandle props =
        define(set, kOfxParamTypeInteger, own_param_names[PARAM_SHOWN_TAKE], "Shown take",
               "Which of the takes is shown; the source, where there is none of that number.");
    if (props)
        limit_integer(props, 1, 1, 99);
}

static void define_timing(OfxParamSetHandle set)
{
    OfxPropertySetHandle props =
        define(set, kOfxParamTypeInteger, own_param_names[PARAM_FRAME_OFFSET], "Frame offset",
               "Added to the host's frame number to give the number in the files' names.");
    if (props)
        limit_integer(props, 0, -1000000, 1000000);
    props = define(set, kOfxParamTypeBoolean, own_param_names[PARAM_CAPTURE], "Capture",
                   "While this is on, rendering keeps each frame of Source and Matte in the job "
                   "folder and shows the source: for hosts that give one frame at a time.");
    if (props)
        host.property->propSetInt(props, kOfxParamPropDefault, 0, 0);
}

static void define_buttons(OfxParamSetHandle set)
{
    define(set, kOfxParamTypePushButton, own_param_names[PARAM_LAUNCH], "Launch",
           "Starts the engine outside this program. It goes on when the program is closed; Launch "
           "again goes on from its newest checkpoint.");
    define(set, kOfxParamTypePushButton, own_param_names[PARAM_STOP], "Stop",
           "Asks the engine to write a checkpoint and stop.");
    define(set, kOfxParamTypePushButton, own_param_names[PARAM_REFRESH], "Refresh",
           "Says how the job stands, and shows the frames that are finished.");
}

static void define_answers(OfxParamSetHandle set)
{
    OfxPropertySetHandle props = define(set, kOfxParamTypeString, own_param_names[PARAM_STATUS],
                                        "Status", "How the job stood at the last Refresh.");
    if (props) {
        host.property->propSetString(props, kOfxParamPropDefault, 0, "press Refresh");
        host.property->propSetInt(props, kOfxParamPropEnabled, 0, 0);
        host.property->propSetInt(props, kOfxParamPropEvaluateOnChange, 0, 0);
        host.property->propSetInt(props, kOfxParamPropPersistant, 0, 0);
    }
    /* OFX has no call for "my output has changed": a hidden value that Refresh raises does it. */
    props = define(set, kOfxParamTypeInteger, own_param_names[PARAM_RESULT_VERSION],
                   "Result version", "Raised by Refresh, so that the host renders anew.");
    if (props) {
        host.property->propSetInt(props, kOfxParamPropDefault, 0, 0);
        host.property->propSetInt(props, kOfxParamPropSecret, 0, 1);
        host.property->propSetString(props, kOfxParamPropCacheInvalidation, 0,
                                     kOfxParamInvalidateAll);
    }
}

static void define_params(OfxParamSetHandle set)
{
    OfxPropertySetHandle props;
    define_place(set);
    define_input(set);
    define_job_params(set, 1);
    define_timing(set);
    define_take(set);
    define_buttons(set);
    define_answers(set);
    props = define(set, kOfxParamTypeGroup, more_group, "More", "Settings that rarely change.");
    if (props)
        host.property->propSetInt(props, kOfxParamPropGroupOpen, 0, 0);
    define_job_params(set, 0);
}

OfxStatus describe_in_context(OfxImageEffectHandle effect, OfxPropertySetHandle in)
{
    char *context = NULL;
    OfxParamSetHandle set;
    int general;
    host.property->propGetString(in, kOfxImageEffectPropContext, 0, &context);
    general = context && strcmp(context, kOfxImageEffectContextGeneral) == 0;
    if (!define_clip(effect, kOfxImageEffectOutputClipName) ||
        !define_clip(effect, kOfxImageEffectSimpleSourceClipName))
        return kOfxStatFailed;
    if (general && define_matte(effect) != 0) /* a filter has one input, by the standard */
        return kOfxStatFailed;
    if (host.effect->getParamSet(effect, &set) != kOfxStatOK)
        return kOfxStatFailed;
    define_params(set);
    return kOfxStatOK;
}
