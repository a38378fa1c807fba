"""The manifests against the schemas of the Dask operator and of Kubernetes, strictly."""

import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.conftest import missing

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
DOCUMENTS = [
    pytest.param(document, id=f"{path.stem}-{document['kind']}")
    for path in sorted(FOLDER.glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]
VERSION = "1.33"


@pytest.fixture(scope="session")
def operator(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Schemas of the Dask operator's resources, by kind, from its wheel."""
    folder = tmp_path_factory.mktemp("operator")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    done = subprocess.run([*command, *constraints, "--dest", folder, "dask-kubernetes"])
    if done.returncode:
        missing("the wheel of dask-kubernetes (a package registry)")
    (wheel,) = folder.glob("*.whl")
    found = {}
    with ZipFile(wheel) as archive:
        for name in archive.namelist():
            if "/helm/dask-kubernetes-operator/crds/" in name and name.endswith(".yaml"):
                crd = yaml.safe_load(archive.read(name))["spec"]
                (version,) = crd["versions"]
                found[crd["names"]["kind"]] = strict(version["schema"]["openAPIV3Schema"])
    return found


def strict(schema: Any) -> Any:
    """A structural schema as JSON schema that refuses keys which it does not name."""
    if not isinstance(schema, dict):
        return schema
    schema = dict(schema)
    if schema.pop("x-kubernetes-int-or-string", False):
        schema.pop("type", None)
    if "properties" in schema:
        schema["properties"] = {k: strict(v) for k, v in schema["properties"].items()}
        schema.setdefault("additionalProperties", False)
    inner = {key: strict(schema[key]) for key in ("items", "additionalProperties") if key in schema}
    return schema | inner


def pods(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The specs of all pods that the operator will make of a resource."""
    spec = document["spec"]
    if document["kind"] == "DaskJob":
        return [spec["job"]["spec"], *pods({"kind": "", "spec": spec["cluster"]["spec"]})]
    return [spec[part]["spec"] for part in ("worker", "scheduler") if part in spec]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_manifest_is_valid(document: dict[str, Any], operator: dict[str, Any]) -> None:
    if document["kind"] not in operator:
        kubernetes_validate.validate(document, VERSION, strict=True)
        return
    schema = operator[document["kind"]]
    text = {"type": "string"}
    schema["properties"] |= {
        "apiVersion": text,
        "kind": text,
        "metadata": {"type": "object", "required": ["name"]},
    }
    errors = Draft202012Validator(schema).iter_errors(document)
    assert [f"{e.json_path}: {e.message}" for e in errors] == []
    for spec in pods(document):
        metadata = {"name": document["metadata"]["name"]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        kubernetes_validate.validate(pod, VERSION, strict=True)


def test_a_slip_is_noticed(operator: dict[str, Any]) -> None:
    (path,) = FOLDER.glob("cluster.yaml")
    cluster = next(iter(yaml.safe_load_all(path.read_text())))
    cluster["spec"]["worker"]["replica"] = 3
    cluster["spec"]["scheduler"]["spec"]["containers"][0]["prots"] = []
    errors = list(Draft202012Validator(operator["DaskCluster"]).iter_errors(cluster))
    assert {error.json_path for error in errors} >= {
        "$.spec.worker",
        "$.spec.scheduler.spec.containers[0]",
    }
