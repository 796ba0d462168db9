// Computes the scale bar: the largest round length that is not longer than a given number of pixels.

const LONGEST_PX = 180;

/**
 * @param {number} micrometres per pixel of the screen
 * @returns {{width: number, text: string}} the bar's length in pixels of the screen, and what to write on it
 */
export function scaleBar(micrometres) {
  const most = micrometres * LONGEST_PX;
  const power = 10 ** Math.floor(Math.log10(most));
  const length = ([5, 2].find((factor) => factor * power <= most) ?? 1) * power;
  // toPrecision: 0.1 + 0.2 must not be written out in full
  const text = length < 1000 ? `${Number(length.toPrecision(1))} µm` : `${Number((length / 1000).toPrecision(1))} mm`;
  return { width: length / micrometres, text };
}
