// How a drawing is moved: by wheel, by dragging, by two fingers; and how arrow keys go from one thing in it to the next.

const CLICK_PIXELS = 4; // moved by less, a press is a click
const ARROWS = /** @type {Record<string, [number, number]>} */ ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] });

/** @typedef {{x: number, y: number}} Point in pixels */
/**
 * @typedef {object} Moves
 * @property {(factor: number, at: Point) => void} zoom what is at this point stays there
 * @property {(x: number, y: number) => void} pan
 */

/**
 * Has a drawing moved as long as it is there. Returns what ends that.
 * @param {HTMLElement} box
 * @param {() => Moves} moves
 * @param {{origin?: () => Element | null, wheelZooms: boolean}} how origin: from where points are counted, else the box.
 *   wheelZooms: without Ctrl, too; else the wheel scrolls the page
 */
export function listenToMoves(box, moves, { origin, wheelZooms }) {
  const ended = new AbortController();
  const { signal } = ended;
  /** @type {Map<number, Point>} */
  const pressed = new Map();
  let moved = 0;
  /** @param {MouseEvent} event */
  const placeOf = (event) => {
    const { left, top } = (origin?.() ?? box).getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };
  /** @param {WheelEvent} event */
  const wheel = (event) => {
    const unit = event.deltaMode === 1 ? 16 : 1; // lines, or pixels
    const across = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    if (event.ctrlKey || (wheelZooms && !event.shiftKey)) {
      moves().zoom(Math.exp(-event.deltaY * unit * (event.ctrlKey ? 0.005 : 0.0015)), placeOf(event));
    } else if (Math.abs(across) > (event.shiftKey ? 0 : Math.abs(event.deltaY))) moves().pan(-across * unit, 0);
    else return;
    event.preventDefault();
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
    const other = [...pressed].find(([id]) => id !== event.pointerId)?.[1];
    moved += Math.abs(now.x - before.x) + Math.abs(now.y - before.y);
    pressed.set(event.pointerId, now);
    if (moved <= CLICK_PIXELS) return;
    box.setPointerCapture(event.pointerId);
    if (!other) return moves().pan(now.x - before.x, now.y - before.y);
    const gap = (/** @type {Point} */ at) => Math.max(1, Math.hypot(at.x - other.x, at.y - other.y));
    moves().zoom(gap(now) / gap(before), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
  };
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
  for (const name of /** @type {const} */ (['pointerup', 'pointercancel'])) {
    box.addEventListener(name, (event) => pressed.delete(event.pointerId), { signal });
  }
  box.addEventListener('click', click, { capture: true, signal });
  box.addEventListener('dragstart', (event) => event.preventDefault(), { signal });
  return () => ended.abort();
}

/**
 * Carries out an arrow key: the focus goes to the nearest link of the drawing in its direction; with Shift, the drawing
 * is moved.
 * @param {KeyboardEvent & {currentTarget: any}} event
 * @param {string} links a selector of them
 * @param {(x: number, y: number) => void} pan by steps
 */
export function pressArrow(event, links, pan) {
  const arrow = ARROWS[event.key];
  if (!arrow || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const [right, down] = arrow;
  if (event.shiftKey) return pan(-right, -down);
  const all = [.../** @type {HTMLElement} */ (event.currentTarget).querySelectorAll(links)].map((link) => ({ link, ...middleOf(link) }));
  const from = all.find(({ link }) => link === document.activeElement) ?? { link: null, x: 0, y: 0 };
  let best = null;
  let least = Infinity;
  for (const { link, x, y } of all) {
    const ahead = (x - from.x) * right + (y - from.y) * down;
    const aside = Math.abs(right ? y - from.y : x - from.x); // counts more
    if (ahead > 0.5 && ahead + 3 * aside < least) [best, least] = [link, ahead + 3 * aside];
  }
  if (best) /** @type {any} */ (best).focus();
}

/** @param {Element} element */
function middleOf(element) {
  const { left, top, width, height } = element.getBoundingClientRect();
  return { x: left + width / 2, y: top + height / 2 };
}
