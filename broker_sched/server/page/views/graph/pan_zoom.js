// A drawing that is moved under a window.

import { useEffect, useRef, useState } from '../../libraries.js';
import { listenToMoves } from '../drawing/moves.js';

/** @typedef {{x: number, y: number, scale: number}} Place where the drawing's corner is, in pixels, and how large it is */

const LEAST = 0.05;
const MOST = 3;
const READABLE = 0.75; // smaller, words are hard to read

/** @param {number} scale */
const bounded = (scale) => Math.min(MOST, Math.max(LEAST, scale));

/**
 * Returns what a drawing needs to be moved: the box that it is in, where it is, and functions that move it.
 */
export function usePanZoom() {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const [place, setPlace] = useState(/** @type {Place} */ ({ x: 0, y: 0, scale: 1 }));
  /**
   * @param {number} factor
   * @param {{x: number, y: number}} [at] what stays where it is, in pixels of the box; else its middle
   */
  const zoom = (factor, at) =>
    setPlace((before) => {
      const middle = at ?? { x: (box.current?.clientWidth ?? 0) / 2, y: (box.current?.clientHeight ?? 0) / 2 };
      const scale = bounded(before.scale * factor);
      const grown = scale / before.scale;
      return { scale, x: middle.x - (middle.x - before.x) * grown, y: middle.y - (middle.y - before.y) * grown };
    });
  /**
   * @param {number} x
   * @param {number} y
   */
  const pan = (x, y) => setPlace((before) => ({ ...before, x: before.x + x, y: before.y + y }));
  /**
   * @param {{x: number, y: number, width: number, height: number}} part shown whole; its middle if that would be too small
   * @param {number} [least] how small it may be
   */
  const show = (part, least = READABLE) =>
    setPlace(() => {
      const { clientWidth: width, clientHeight: height } = box.current ?? { clientWidth: 1, clientHeight: 1 };
      const fitting = Math.min(width / part.width, height / part.height, 1);
      const scale = Math.max(least, fitting);
      return { scale, x: width / 2 - (part.x + part.width / 2) * scale, y: height / 2 - (part.y + part.height / 2) * scale };
    });
  /** @param {{x: number, y: number, width: number, height: number}} part moved into the box if it is not there */
  const reveal = (part) =>
    setPlace((before) => {
      const { clientWidth: width, clientHeight: height } = box.current ?? { clientWidth: 1, clientHeight: 1 };
      const near = (/** @type {number} */ start, /** @type {number} */ size, /** @type {number} */ room) =>
        start < 0 ? -start + 20 : start + size > room ? room - start - size - 20 : 0;
      return {
        ...before,
        x: before.x + near(before.x + part.x * before.scale, part.width * before.scale, width),
        y: before.y + near(before.y + part.y * before.scale, part.height * before.scale, height),
      };
    });
  useEffect(() => (box.current ? listenToMoves(box.current, () => ({ zoom, pan }), { wheelZooms: true }) : undefined), []);
  return { box, place, zoom, pan, show, reveal };
}
