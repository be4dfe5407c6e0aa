"""Facts of the OpenFX image effect API, from its reference: what plugin/ofx.h has to agree with."""

from __future__ import annotations

STATUS = {
    "kOfxStatOK": 0,
    "kOfxStatFailed": 1,
    "kOfxStatErrFatal": 2,
    "kOfxStatErrUnknown": 3,
    "kOfxStatErrMissingHostFeature": 4,
    "kOfxStatErrUnsupported": 5,
    "kOfxStatErrExists": 6,
    "kOfxStatErrFormat": 7,
    "kOfxStatErrMemory": 8,
    "kOfxStatErrBadHandle": 9,
    "kOfxStatErrBadIndex": 10,
    "kOfxStatErrValue": 11,
    "kOfxStatReplyYes": 12,
    "kOfxStatReplyNo": 13,
    "kOfxStatReplyDefault": 14,
}

ODD_VALUES = {
    "kOfxImageEffectPluginApi": "OfxImageEffectPluginAPI",
    "kOfxImageEffectOutputClipName": "Output",
    "kOfxImageEffectSimpleSourceClipName": "Source",
    "kOfxImageUnPreMultiplied": "OfxImageAlphaUnPremultiplied",
}
"""Every other constant's value is its name without the k."""

NAMES = """
    PropertySuite ImageEffectSuite ParameterSuite MessageSuite ProgressSuite
    ActionLoad ActionDescribe ActionCreateInstance ActionDestroyInstance ActionInstanceChanged
    ImageEffectActionDescribeInContext ImageEffectActionGetClipPreferences
    ImageEffectActionIsIdentity ImageEffectActionRender
    PropType TypeParameter PropName PropLabel PropTime PropInstanceData PropChangeReason
    ChangeUserEdited MessageError
    ImageEffectPluginPropGrouping ImageEffectPluginPropHostFrameThreading
    ImageEffectPluginRenderThreadSafety ImageEffectRenderFullySafe ImageEffectPropContext
    ImageEffectContextFilter ImageEffectContextGeneral ImageEffectPropSupportedContexts
    ImageEffectPropSupportedPixelDepths ImageEffectPropSupportsTiles
    ImageEffectPropSupportsMultiResolution ImageEffectPropTemporalClipAccess
    ImageEffectPropRenderScale ImageEffectPropRenderWindow ImageEffectFrameVarying
    ImageEffectPropSupportedComponents ImageEffectPropComponents ImageComponentRGBA
    ImageComponentAlpha ImageEffectPropPixelDepth BitDepthFloat ImageEffectPropPreMultiplication
    ImageEffectPropFrameRange ImageClipPropConnected ImageClipPropOptional ImageClipPropIsMask
    ImagePropData ImagePropBounds ImagePropRowBytes ImagePropRegionOfDefinition
    ImagePropPixelAspectRatio
    ParamTypeInteger ParamTypeDouble ParamTypeBoolean ParamTypeChoice ParamTypeString
    ParamTypePushButton ParamTypeGroup ParamPropDefault ParamPropMin ParamPropMax
    ParamPropDisplayMin ParamPropDisplayMax ParamPropHint ParamPropParent ParamPropGroupOpen
    ParamPropAnimates ParamPropEvaluateOnChange ParamPropPersistant ParamPropEnabled
    ParamPropSecret ParamPropChoiceOption ParamPropStringMode ParamStringIsFilePath
    ParamStringIsDirectoryPath ParamPropStringFilePathExists ParamPropCacheInvalidation
    ParamInvalidateAll
"""

CONSTANTS = {f"kOfx{name}": f"Ofx{name}" for name in NAMES.split()} | ODD_VALUES

_KINDS = ("Pointer", "String", "Double", "Int")

STRUCTS = {
    "OfxHost": ("host", "fetchSuite"),
    "OfxPlugin": (
        "pluginApi", "apiVersion", "pluginIdentifier", "pluginVersionMajor", "pluginVersionMinor",
        "setHost", "mainEntry",
    ),
    "OfxRectI": ("x1", "y1", "x2", "y2"),
    "OfxRectD": ("x1", "y1", "x2", "y2"),
    "OfxPropertySuiteV1": (
        *(f"propSet{kind}" for kind in _KINDS), *(f"propSet{kind}N" for kind in _KINDS),
        *(f"propGet{kind}" for kind in _KINDS), *(f"propGet{kind}N" for kind in _KINDS),
        "propReset", "propGetDimension",
    ),
    "OfxImageEffectSuiteV1": (
        "getPropertySet", "getParamSet", "clipDefine", "clipGetHandle", "clipGetPropertySet",
        "clipGetImage", "clipReleaseImage", "clipGetRegionOfDefinition", "abort",
        "imageMemoryAlloc", "imageMemoryFree", "imageMemoryLock", "imageMemoryUnlock",
    ),
    "OfxParameterSuiteV1": (
        "paramDefine", "paramGetHandle", "paramSetGetPropertySet", "paramGetPropertySet",
        "paramGetValue", "paramGetValueAtTime", "paramGetDerivative", "paramGetIntegral",
        "paramSetValue", "paramSetValueAtTime", "paramGetNumKeys", "paramGetKeyTime",
        "paramGetKeyIndex", "paramDeleteKey", "paramDeleteAllKeys", "paramCopy", "paramEditBegin",
        "paramEditEnd",
    ),
    "OfxMessageSuiteV1": ("message",),
    "OfxProgressSuiteV1": ("progressStart", "progressUpdate", "progressEnd"),
}  # fmt: skip
"""Members in their order."""

OFFSETS = {
    "OfxPlugin": (0, 8, 16, 24, 28, 32, 40),
    "OfxRectI": (0, 4, 8, 12),
    "OfxRectD": (0, 8, 16, 24),
}
"""Bytes on a 64-bit system; in every other struct each member is a pointer."""
