// Values that several components show.

import { useLayoutEffect, useState } from './libraries.js';

/**
 * A value that several components show. Whoever sets it has those drawn anew that use it; elsewhere it is just read.
 * @template T
 */
export class Shared {
  #value;
  #watchers = /** @type {Set<(value: T) => void>} */ (new Set());

  /** @param {T} value */
  constructor(value) {
    this.#value = value;
  }

  get value() {
    return this.#value;
  }

  set value(value) {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const watcher of [...this.#watchers]) watcher(value);
  }

  /**
   * Has a function called with each value that is set, until the returned function is called.
   * @param {(value: T) => void} watcher
   */
  watch(watcher) {
    this.#watchers.add(watcher);
    return () => {
      this.#watchers.delete(watcher);
    };
  }
}

/**
 * Returns the value, and has the component that calls this drawn anew when another one is set.
 * @template T
 * @param {Shared<T>} shared
 * @returns {T}
 */
export function useShared(shared) {
  const [, draw] = useState(shared.value);
  useLayoutEffect(() => {
    draw(shared.value); // it may have been set since this component was drawn
    return shared.watch(draw);
  }, [shared]);
  return shared.value;
}
