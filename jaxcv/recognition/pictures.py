"""What a person judges a classifier by: mistakes, confusions, calibration, attention."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Float, Int

from jaxcv.recognition import attention as attention_maps
from jaxcv.recognition import scores
from jaxcv.viz import Picture, figure, new_figure

INK, GOOD, BAD = '#222222', '#2a7f62', '#b3261e'


def mistakes(
    images: Float[Array, 'b h w c'],
    logits: Float[Array, 'b classes'],
    labels: Int[Array, 'b'],
    names: Sequence[str] | None = None,
    count: int = 24,
    columns: int = 8,
) -> Picture:
    """The images in [0, 1] that are wrong with the most confidence; if fewer than `count` are
    wrong, the least certain of the right ones follow."""
    probs = softmax(logits)
    labels, names = np.asarray(labels), class_names(names, probs.shape[1])
    predicted, own = probs.argmax(1), probs[np.arange(len(labels)), labels]
    wrong = predicted != labels
    shown = np.lexsort((np.where(wrong, -probs.max(1), own), ~wrong))[:count]
    columns = max(min(columns, len(shown)), 4)  # the title needs the width of four
    rows = -(-len(shown) // columns)
    fig = new_figure(1.45 * columns, 1.8 * rows + 0.4)
    for place, i in enumerate(shown):
        axes = fig.add_subplot(rows, columns, place + 1)
        show_image(axes, images[i], color=BAD if wrong[i] else GOOD)
        text = f'{names[predicted[i]]} · {percent(probs[i].max())}'
        axes.set_title(text, fontsize=10, color=BAD if wrong[i] else GOOD, pad=4)
        axes.set_xlabel(f'is {names[labels[i]]}', fontsize=9, color=INK, labelpad=3)
    title = f'{wrong.sum()} of {len(labels)} wrong: prediction above, truth below'
    fig.suptitle(title, fontsize=12, color=INK)
    caption = f'{wrong.sum()} mistakes in {len(labels)} images, the surest first; then unsure hits'
    return figure(fig, caption)


def confusion(matrix: Int[Array, 'true predicted'], names: Sequence[str] | None = None) -> Picture:
    """Heat map of a confusion matrix; each row as shares of its true class, the counts written."""
    matrix = np.asarray(matrix)
    classes = len(matrix)
    names = class_names(names, classes)
    totals = matrix.sum(1, keepdims=True)
    shares = matrix / np.maximum(totals, 1)
    side = float(np.clip(0.5 * classes + 1.5, 4.5, 14))
    fig = new_figure(side + 0.6, side)
    axes = fig.add_subplot()
    # The square root lets a few mistakes be seen beside a full diagonal.
    image = axes.imshow(np.sqrt(shares), cmap='Blues', vmin=0, vmax=1)
    if classes <= 30:
        for row, column in np.argwhere(matrix > 0):
            dark = shares[row, column] > 0.3
            text = {'ha': 'center', 'va': 'center', 'fontsize': 9 if classes <= 15 else 7}
            axes.text(column, row, matrix[row, column], color='white' if dark else INK, **text)
    if classes <= 60:
        long = max(map(len, names)) > 3
        axes.set_xticks(range(classes), names, rotation=90 if long else 0)
        axes.set_yticks(range(classes), names)
    axes.tick_params(length=0, labelsize=9)
    axes.spines[:].set_visible(False)
    axes.set_xlabel('predicted')
    axes.set_ylabel('true')
    accuracy = np.trace(matrix) / max(matrix.sum(), 1)
    axes.set_title(f'Confusion: {percent(accuracy, 2)} of {matrix.sum()} right', fontsize=12)
    bar = fig.colorbar(image, ax=axes, shrink=0.8, aspect=30)
    ticks = np.array([0, 0.01, 0.1, 0.25, 0.5, 1])
    bar.set_ticks(np.sqrt(ticks), labels=[percent(tick) for tick in ticks])
    bar.set_label('share of the true class')
    bar.outline.set_visible(False)
    return figure(fig, 'rows: true class; columns: predicted class')


def reliability(sums: scores.Sums) -> Picture:
    """Reliability diagram: accuracy in bins of confidence, the diagonal for perfect calibration;
    below it, how many samples are in each bin."""
    confidence, accuracy, share = scores.reliability(sums)
    bins, error = len(share), scores.calibration_error(sums)
    centers, width = (np.arange(bins) + 0.5) / bins, 0.94 / bins
    fig = new_figure(5, 5.6)
    top, bottom = fig.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    top.bar(centers, np.nan_to_num(accuracy), width, color='#7fa6cf', label='accuracy')
    top.plot([0, 1], [0, 1], color='#777777', linewidth=1.2, linestyle=(0, (4, 3)))
    top.hlines(confidence, centers - width / 2, centers + width / 2, color=BAD, linewidth=2.5)
    top.vlines(centers, accuracy, confidence, color=BAD, linewidth=1.2, label='gap to confidence')
    top.set(xlim=(0, 1), ylim=(0, 1.02), ylabel='accuracy')
    top.set_title(f'Reliability: expected calibration error {percent(error, 2)}', fontsize=12)
    top.legend(loc='upper left', fontsize=9, framealpha=0.9, edgecolor='white')
    bottom.bar(centers, share, width, color='#9aa5b1')
    bottom.set(xlabel='confidence', ylabel='share of samples', ylim=(0, None))
    for axes in (top, bottom):
        axes.spines[['top', 'right']].set_visible(False)
    fig.align_ylabels()
    return figure(fig, 'bars on the diagonal: the confidence can be trusted')


def attention(
    images: Float[Array, 'b h w c'], maps: Float[Array, 'b layers heads n n'], count: int = 8
) -> Picture:
    """Images in [0, 1], each above what its class token looks at: in the last layer, and through
    all layers (rollout). Every map is scaled to its own range."""
    images, maps = np.asarray(images[:count]), maps[:count]
    height, width = images.shape[1:3]
    rows = {
        'image': None,
        'last layer': attention_maps.class_attention(maps),
        'rollout': attention_maps.rollout(maps),
    }
    fig = new_figure(1.5 * len(images) + 0.4, 4.9)
    panels = fig.subplots(3, len(images), squeeze=False)
    for line, (label, weights) in zip(panels, rows.items(), strict=True):
        line[0].set_ylabel(label, fontsize=10, color=INK)
        for i, axes in enumerate(line):
            show_image(axes, images[i], fade=0.0 if weights is None else 0.5)
            if weights is not None:
                patches = np.asarray(attention_maps.grid(weights[i : i + 1], height, width))[0]
                extent = (-0.5, width - 0.5, height - 0.5, -0.5)
                axes.imshow(
                    patches,
                    cmap='inferno',
                    alpha=0.7,
                    extent=extent,
                    interpolation='bilinear',
                )
    fig.suptitle('Where the class token looks', fontsize=12, color=INK)
    return figure(fig, 'bright: much attention; each map is scaled to its own range')


def show_image(axes, image, color: str = '#cccccc', fade: float = 0.0) -> None:
    """An image in [0, 1] with a frame; `fade` takes its colors towards gray."""
    image = np.asarray(image, np.float32)
    image = np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image
    gray = image.mean(axis=-1, keepdims=True)
    axes.imshow(np.clip((1 - fade) * image + fade * gray, 0, 1), interpolation='nearest')
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set(color=color, linewidth=1.2)


def softmax(logits) -> np.ndarray:
    logits = np.asarray(logits, np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def class_names(names, classes: int) -> list[str]:
    return [str(name) for name in (range(classes) if names is None else names)]


def percent(share: float, digits: int = 0) -> str:
    return f'{100 * share:.{digits}f}%'
