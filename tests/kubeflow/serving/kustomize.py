"""The part of kustomize that the manifests use, to check them where kustomize is not installed.

Resources, components, JSON 6902 patches by target, images and configMapGenerator. Whatever else a kustomization
says is an error: it would not be checked. Names get no hash.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

Document = dict[str, Any]
_KNOWN = {"apiVersion", "kind", "resources", "components", "images", "configMapGenerator", "patches"}


def build(directory: Path) -> list[Document]:
    """The manifests that a kustomization makes."""
    documents: list[Document] = []
    _apply(directory, documents)
    return documents


def _apply(directory: Path, documents: list[Document]) -> None:
    path = directory / "kustomization.yaml"
    kustomization = yaml.safe_load(path.read_text())
    unknown = set(kustomization) - _KNOWN
    assert not unknown, f"{path}: {unknown} are not checked"
    for name in kustomization.get("resources", []):
        resource = directory / name
        if resource.is_dir():
            _apply(resource, documents)
        else:
            documents.extend(document for document in yaml.safe_load_all(resource.read_text()) if document)
    for generator in kustomization.get("configMapGenerator", []):
        _generate(directory, generator, documents)
    for name in kustomization.get("components", []):
        _apply(directory / name, documents)
    for patch in kustomization.get("patches", []):
        targets = [document for document in documents if _matches(document, patch["target"])]
        assert targets, f"{path}: nothing is {patch['target']}"
        operations = yaml.safe_load((directory / patch["path"]).read_text())
        for target in targets:
            for operation in operations:
                _patch(target, operation)
    for image in kustomization.get("images", []):
        _tag(image, documents, path)


def _generate(directory: Path, generator: Document, documents: list[Document]) -> None:
    existing = [
        d for d in documents if d["kind"] == "ConfigMap" and d["metadata"]["name"] == generator["name"]
    ]
    behavior = generator.get("behavior", "create")
    assert bool(existing) == (behavior == "replace"), (
        f"{directory}: {generator['name']} is there: {bool(existing)}"
    )
    data = {Path(name).name: (directory / name).read_text() for name in generator["files"]}
    if existing:
        existing[0]["data"] = data
    else:
        metadata = {"name": generator["name"]}
        documents.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def _matches(document: Document, target: Document) -> bool:
    group, _, version = document["apiVersion"].rpartition("/")
    facts = {
        "group": group,
        "version": version,
        "kind": document["kind"],
        "name": document["metadata"]["name"],
    }
    return all(facts[key] == value for key, value in target.items())


def _patch(document: Any, operation: Document) -> None:
    *parents, last = operation["path"].strip("/").split("/")
    place = document
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place[part]
    assert operation["op"] in ("add", "replace"), operation
    if isinstance(place, list):
        assert operation["op"] == "add" and last == "-", operation
        place.append(operation["value"])
    else:
        assert operation["op"] == "add" or last in place, f"nothing to replace: {operation['path']}"
        place[last] = operation["value"]


def _tag(image: Document, documents: list[Document], path: Path) -> None:
    found = 0
    for document in documents:
        if document["kind"] == "Deployment":
            for container in document["spec"]["template"]["spec"]["containers"]:
                if container["image"] == image["name"]:
                    found += 1
                    pinned = f"@{image['digest']}" if "digest" in image else f":{image['newTag']}"
                    container["image"] = image["name"] + pinned
    assert found, f"{path}: no container has the image {image['name']}"
