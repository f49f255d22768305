"""What /openapi.json says of requests, with examples: bodies come in several forms, which no signature of a function can say."""

from __future__ import annotations

from typing import Any

from cmelt.serving.http import canonical
from cmelt.serving.http.answers import Refused
from cmelt.serving.http.question import DEFAULT_TASK

_REASONS = {
    401: "No valid token.",
    403: "Addressed to a name that the service does not have, or from another site's page.",
    408: "The body has not come in time.",
    413: "Body, file count or recording larger than allowed.",
    415: "A media type, or a file format, that is not known.",
    422: "No usable ECG, or a question that cannot be.",
    429: "Too many requests from this address at work; see Retry-After.",
    503: "Too many requests at work, not ready, about to end, or not done in time; see Retry-After.",
}
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refused, "description": reason} for status, reason in _REASONS.items()
}
#: Of an address that has a name in it.
NOT_THERE: dict[int | str, dict[str, Any]] = {404: {"model": Refused, "description": "There is none of that name."}}
#: Of what anybody may ask who knows the service's name, while it has connections left; 401 where a token is asked for.
LOOKING: dict[int | str, dict[str, Any]] = {status: REFUSALS[status] for status in (403, 503)}
METRICS_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"description": "Figures as Prometheus reads them.", "content": {"text/plain": {"schema": {"type": "string"}}}},
    401: REFUSALS[401],
}
CANONICAL_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "uint32 little-endian header length, JSON header, int16 little-endian [leads, samples].",
        "content": {canonical.MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}

_TEXT = {"type": "string"}
_READING: dict[str, Any] = {
    "rate": {"type": "number", "description": "Hz, for a file of bare numbers.", "example": 500},
    "unit": {**_TEXT, "description": "mV, uV, V or nV, likewise.", "example": "mV"},
    "leads": {**_TEXT, "description": "The leads in the file's order, likewise.", "example": "I,II,III,aVR,aVL,aVF"},
}
_ASKING: dict[str, Any] = {
    "prompts": {
        **_TEXT,
        "description": 'What to look for: one finding a line, or JSON {"class": ["prompt", …]}. A line that names a bundled '
        "statement is taken as that; in quotes it means its words alone.",
        "example": "atrial fibrillation\nleft bundle branch block",
    },
    "as_typed": {"type": "boolean", "default": False, "description": "Take no line of `prompts` for a bundled statement."},
    "classes": {**_TEXT, "description": "Bundled statements, or classes of `task`.", "example": "atrial-fibrillation,normal-ecg"},
    "task": {**_TEXT, "description": "A bundled task.", "default": DEFAULT_TASK},
    "scoring": {**_TEXT, "enum": ["contrast", "pairs", "similarity"], "description": "The task's own by default."},
}
_EXPLAINING: dict[str, Any] = {
    **_ASKING,
    "method": {**_TEXT, "enum": ["integrated-gradients", "occlusion"], "default": "integrated-gradients"},
}
_SEARCHING: dict[str, Any] = {
    "text": {**_TEXT, "description": "What a report says, instead of an ECG.", "example": "left bundle branch block"},
    "k": {"type": "integer", "default": 10, "minimum": 1, "maximum": 100},
    "age": {**_TEXT, "description": "Years: 40-60, 40- or -60.", "example": "40-60"},
    "sex": {**_TEXT, "enum": ["f", "m", "female", "male"]},
    "label": {**_TEXT, "description": "AFIB or scp:AFIB; repeated, all must hold.", "example": "AFIB"},
}
_SIGNAL = {
    "signal": [[0.012, 0.015, 0.021], [0.030, 0.034, 0.041]],
    "leads": ["I", "II"],
    "rate": 500,
    "unit": "mV",
}


def _request(options: dict[str, Any], *, needs_ecg: bool = True) -> dict[str, Any]:
    """Body and query of a request that carries an ECG, as OpenAPI has them."""
    file = {"type": "array", "items": {**_TEXT, "format": "binary"}, "description": "One file; all files of a WFDB record."}
    form = {"type": "object", "properties": {"file": file, **_READING, **options}, "required": ["file"] if needs_ecg else []}
    body = {
        "type": "object",
        "properties": {
            "signal": {
                "type": "array",
                "items": {"type": "array", "items": {"type": ["number", "null"]}},
                "description": "One list a lead; null where nothing was measured.",
            },
            "leads": {"type": "array", "items": _TEXT},
            "rate": {"type": "number", "description": "Hz."},
            "unit": {**_TEXT, "enum": ["mV", "uV", "V", "nV"]},
            **options,
        },
        "required": list(_SIGNAL) if needs_ecg else [],
    }
    parameters = [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in options.items()]
    return {
        "parameters": parameters,
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": form},
                "application/json": {"schema": body, "example": _SIGNAL | _examples(options)},
                canonical.MEDIA_TYPE: {"schema": {**_TEXT, "format": "binary"}},
            },
        },
    }


def _examples(options: dict[str, Any]) -> dict[str, Any]:
    return {"prompts": ["atrial fibrillation", "left bundle branch block"]} if "prompts" in options else {}


ASKED, EMBEDDED, READ = _request(_ASKING), _request({}), _request({})
EXPLAINED = _request(_EXPLAINING)
SEARCHED = _request(_SEARCHING, needs_ecg=False)
