"""What `azureml.contrib.services` and `azureml_inference_server_http.api` offer."""

from __future__ import annotations

from fairlead_scoring.worker.rawhttp import AMLRequest, AMLResponse, rawhttp

__all__ = ["AMLRequest", "AMLResponse", "rawhttp"]
