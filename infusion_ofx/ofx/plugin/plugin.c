/* Infusion's OpenFX plug-in: the two functions that a host looks up, and the way of each action.
 *
 * A front end in C that needs the C library alone: no Python, no torch and no GPU in the host's
 * process. It offers the settings of a job, starts the engine as a process that outlives the host,
 * and shows finished frames from plain files. describe.c says what the host is told, launch.c how
 * the engine is started, render.c what a frame looks like, infusion.h what lies in the job folder.
 */
#include <string.h>

#include "infusion.h"

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

Host host;

static void set_host(OfxHost *given)
{
    host.host = given; /* nothing may be asked of it before Load */
}

static const void *suite(const char *name)
{
    return host.host->fetchSuite(host.host->host, name, 1);
}

static OfxStatus load(void)
{
    if (!host.host)
        return kOfxStatErrMissingHostFeature;
    host.effect = suite(kOfxImageEffectSuite);
    host.property = suite(kOfxPropertySuite);
    host.parameter = suite(kOfxParameterSuite);
    host.message = suite(kOfxMessageSuite);
    host.progress = suite(kOfxProgressSuite);
    if (!host.effect || !host.property || !host.parameter)
        return kOfxStatErrMissingHostFeature;
    host.temporal = 0;
    host.property->propGetInt(host.host->host, kOfxImageEffectPropTemporalClipAccess, 0,
                              &host.temporal);
    return kOfxStatOK;
}

/* The result differs from frame to frame even where the source and all settings are still: without
 * this a host may render one frame and keep it. */
static OfxStatus get_clip_preferences(OfxPropertySetHandle out)
{
    host.property->propSetInt(out, kOfxImageEffectFrameVarying, 0, 1);
    return kOfxStatOK;
}

static OfxStatus main_entry(const char *action, const void *handle, OfxPropertySetHandle in,
                            OfxPropertySetHandle out)
{
    OfxImageEffectHandle effect = (OfxImageEffectHandle)handle;
    if (strcmp(action, kOfxActionLoad) == 0)
        return load();
    if (strcmp(action, kOfxActionDescribe) == 0)
        return describe(effect);
    if (strcmp(action, kOfxImageEffectActionDescribeInContext) == 0)
        return describe_in_context(effect, in);
    if (strcmp(action, kOfxActionCreateInstance) == 0)
        return instance_create(effect);
    if (strcmp(action, kOfxActionDestroyInstance) == 0)
        return instance_destroy(effect);
    if (strcmp(action, kOfxActionInstanceChanged) == 0)
        return instance_changed(effect, in);
    if (strcmp(action, kOfxImageEffectActionGetClipPreferences) == 0)
        return get_clip_preferences(out);
    if (strcmp(action, kOfxImageEffectActionIsIdentity) == 0)
        return is_identity(effect, in, out);
    if (strcmp(action, kOfxImageEffectActionRender) == 0)
        return render(effect, in);
    return kOfxStatReplyDefault;
}

static OfxPlugin plugin = {
    kOfxImageEffectPluginApi, 1, "org.infusion.Infusion", 1, 0, set_host, main_entry,
};

EXPORT int OfxGetNumberOfPlugins(void);
EXPORT OfxPlugin *OfxGetPlugin(int index);

int OfxGetNumberOfPlugins(void)
{
    return 1;
}

OfxPlugin *OfxGetPlugin(int index)
{
    return index == 0 ? &plugin : NULL;
}
