// What this browser keeps of what was chosen: the theme, and the zone of times.

import { Shared } from './shown_values.js';

/**
 * Reads a choice that this browser kept; null where there is none, or the browser keeps nothing.
 * @param {string} name
 */
export function keptChoice(name) {
  try {
    return localStorage.getItem(`bsched-${name}`);
  } catch {
    return null;
  }
}

/**
 * Keeps a choice for the next visit, where the browser does so.
 * @param {string} name
 * @param {string} value
 */
export function keepChoice(name, value) {
  try {
    localStorage.setItem(`bsched-${name}`, value);
  } catch {
    // It holds until the page is closed.
  }
}

/** The theme: 'light', 'dark', or 'system', which follows the system's. */
export const theme = new Shared(keptChoice('theme') ?? 'system');

/** @param {string} chosen 'light', 'dark' or 'system' */
export function chooseTheme(chosen) {
  theme.value = chosen;
  keepChoice('theme', chosen);
  if (chosen === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}

/** The zone in which times are shown: 'local' or 'utc'. */
export const zone = new Shared(keptChoice('zone') === 'utc' ? 'utc' : 'local');

/** @param {'local' | 'utc'} chosen */
export function chooseZone(chosen) {
  zone.value = chosen;
  keepChoice('zone', chosen);
}
