"""The OFX plug-in: what it says of itself, and that our host would find it at fault."""

from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from infusion_cli.gizmo_knobs import KNOBS
from infusion_ofx.job import Job
from infusion_ofx.ofx.table import OWN, job_fields
from ofx_host.host import Host
from ofx_host.objects import Effect, faults, find, here
from ofx_host.shots import frames

pytest_plugins = ("ofx_host.fixtures",)


def test_it_describes_itself_as_a_filter_and_for_general_use(binary: Path) -> None:
    host = Host(binary)
    props = host.describe().props
    assert host.plugin.pluginApi == b"OfxImageEffectPluginAPI" and host.plugin.apiVersion == 1
    contexts = ["OfxImageEffectContextFilter", "OfxImageEffectContextGeneral"]
    assert props.all("ImageEffectPropSupportedContexts") == contexts
    assert props.all("ImageEffectPropSupportedPixelDepths") == ["OfxBitDepthFloat"]
    assert props.get("ImageEffectPluginRenderThreadSafety") == "OfxImageEffectRenderFullySafe"
    assert list(host.describe_in("Filter").clips) == ["Output", "Source"]
    general = host.describe_in("General")
    assert list(general.clips) == ["Output", "Source", "Matte"]
    matte = general.clips["Matte"].props
    assert matte.get("ImageClipPropOptional") == matte.get("ImageClipPropIsMask") == 1
    assert "OfxImageComponentAlpha" in matte.all("ImageEffectPropSupportedComponents")


@pytest.mark.parametrize("context", ["Filter", "General"])
def test_every_setting_of_a_job_is_a_parameter_with_its_range_and_default(
    context: str, binary: Path
) -> None:
    params = Host(binary).describe_in(context).params.params
    for f in job_fields():
        props, kind = params[f.name].props, params[f.name].kind.removeprefix("OfxParamType")
        nullable = "None" in str(f.type)
        assert f.metadata["help"].split(" Default: ")[0] in props.get("ParamPropHint")
        assert props.get("ParamPropAnimates") == props.get("ParamPropEvaluateOnChange") == 0
        if "choices" in f.metadata:
            assert kind == "Choice"
            assert tuple(props.all("ParamPropChoiceOption")) == f.metadata["choices"]
            assert f.metadata["choices"][props.get("ParamPropDefault")] == f.default
        elif "minimum" in f.metadata:
            assert kind == ("Double" if "float" in str(f.type) else "Integer")
            assert props.get("ParamPropMin") == (0 if nullable else f.metadata["minimum"])
            assert props.get("ParamPropMax") == f.metadata["maximum"]
            assert props.get("ParamPropDefault") == (0 if nullable else f.default)
        elif f.type == "str":
            assert kind == "String"
            assert props.get("ParamPropDefault") == ("" if f.default is MISSING else f.default)
        else:
            assert (kind, props.get("ParamPropDefault")) == ("Boolean", int(bool(f.default)))


def test_a_parameter_that_nuke_has_as_a_knob_is_the_same_there(binary: Path) -> None:
    params = Host(binary).describe_in("General").params.params
    knobs = [knob for knob in KNOBS if knob.option and knob.name in params]
    assert len(knobs) > 8
    for knob in knobs:
        props = params[knob.name].props
        assert props.get("ParamPropHint") == knob.tooltip
        assert tuple(props.all("ParamPropChoiceOption")) == knob.choices
        default = props.get("ParamPropDefault")
        assert (knob.choices[default] if knob.choices else default) == knob.default


def test_no_setting_of_a_job_is_left_out_unknowingly() -> None:
    assert {f.name for f in fields(Job)} - {f.name for f in job_fields()} <= set(OWN)


@pytest.mark.parametrize("suite", ["PropertySuite", "ImageEffectSuite", "ParameterSuite"])
def test_a_host_without_a_needed_suite_is_told_so(suite: str, binary: Path) -> None:
    assert Host(binary, without=[f"Ofx{suite}"]).loaded == 4


def test_an_unknown_action_gets_the_default_reply(binary: Path) -> None:
    assert Host(binary).call("OfxActionFromTheFuture") == 14


def test_it_says_that_frames_differ_though_nothing_changes(binary: Path) -> None:
    node = Host(binary).instance(frames)
    assert node.preferences.get("ImageEffectFrameVarying") == 1
    node.destroy()


def test_the_host_finds_a_plugin_at_fault(binary: Path) -> None:
    # What these tests rely on: an image that is kept, a handle that is none, a byte outside.
    node = Host(binary).instance(frames)
    image = node.clips["Source"].fetch("Source", 1.0)
    assert image is not None
    here.images.append(image)
    node.is_identity(1)
    image.memory[0] += 1
    image.check()
    with pytest.raises(LookupError):
        find(1, Effect)
    assert [fault.split(" ")[0] for fault in faults] == ["OfxImageEffectActionIsIdentity", "bytes"]
    faults.clear()
    node.destroy()
