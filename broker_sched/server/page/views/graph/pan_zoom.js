// Moves a drawing under a window: by wheel, by dragging, by two fingers, and by keys.

import { useEffect, useRef, useState } from '../../built/libraries.js';

/** @typedef {{x: number, y: number, scale: number}} Place where the drawing's corner is, in pixels, and how large it is */

const LEAST = 0.05;
const MOST = 3;
const READABLE = 0.5; // smaller, words can't be read
const CLICK_PIXELS = 4; // moved by less, a press is a click

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
  /** @param {{x: number, y: number, width: number, height: number}} part shown whole, or its middle if that is too large */
  const show = (part) =>
    setPlace(() => {
      const { clientWidth: width, clientHeight: height } = box.current ?? { clientWidth: 1, clientHeight: 1 };
      const fitting = Math.min(width / part.width, height / part.height, 1);
      const scale = Math.max(READABLE, fitting);
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
  useEffect(() => (box.current ? listen(box.current, zoom, pan) : undefined), [box.current]);
  return { box, place, zoom, pan, show, reveal };
}

/**
 * @param {HTMLElement} box
 * @param {(factor: number, at: {x: number, y: number}) => void} zoom
 * @param {(x: number, y: number) => void} pan
 */
function listen(box, zoom, pan) {
  const ended = new AbortController();
  const { signal } = ended;
  /** @type {Map<number, {x: number, y: number}>} */
  const pressed = new Map();
  let moved = 0;
  /** @param {MouseEvent} event */
  const placeOf = (event) => {
    const { left, top } = box.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };
  /** @param {WheelEvent} event */
  const wheel = (event) => {
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 16 : 1; // lines, or pixels
    if (event.shiftKey) pan(-(event.deltaX || event.deltaY) * unit, 0);
    else zoom(Math.exp(-event.deltaY * unit * (event.ctrlKey ? 0.01 : 0.0015)), placeOf(event));
  };
  /** @param {PointerEvent} event */
  const press = (event) => {
    if (event.button !== 0) return;
    if (!pressed.size) moved = 0;
    pressed.set(event.pointerId, placeOf(event));
  };
  /** @param {PointerEvent} event */
  const move = (event) => {
    const before = pressed.get(event.pointerId);
    if (!before) return;
    const now = placeOf(event);
    const other = [...pressed.entries()].find(([id]) => id !== event.pointerId)?.[1];
    moved += Math.abs(now.x - before.x) + Math.abs(now.y - before.y);
    if (moved > CLICK_PIXELS) box.setPointerCapture(event.pointerId);
    if (other) {
      const gap = (/** @type {{x: number, y: number}} */ at) => Math.max(1, Math.hypot(at.x - other.x, at.y - other.y));
      zoom(gap(now) / gap(before), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
    } else if (moved > CLICK_PIXELS) pan(now.x - before.x, now.y - before.y);
    pressed.set(event.pointerId, now);
  };
  /** @param {PointerEvent} event */
  const release = (event) => pressed.delete(event.pointerId);
  /** @param {Event} event the click that ends a drag */
  const click = (event) => {
    if (moved <= CLICK_PIXELS) return;
    event.preventDefault();
    event.stopPropagation();
    moved = 0;
  };
  box.addEventListener('wheel', wheel, { passive: false, signal });
  box.addEventListener('pointerdown', press, { signal });
  box.addEventListener('pointermove', move, { signal });
  for (const name of /** @type {const} */ (['pointerup', 'pointercancel', 'lostpointercapture'])) {
    box.addEventListener(name, release, { signal });
  }
  box.addEventListener('click', click, { capture: true, signal });
  box.addEventListener('dragstart', (event) => event.preventDefault(), { signal });
  return () => ended.abort();
}
