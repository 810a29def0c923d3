// The addresses of views.

/** @typedef {string | number | boolean | null | undefined} Value */
/** @typedef {Record<string, Value | Value[]>} Params values of null, undefined and '' are left out; lists are repeated */

// An address has no halves of characters, which ids may have, as Python makes them of file names that are not UTF-8.
const HALF = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|\ue000/g;
const WRITTEN_HALF = /\ue000([0-9a-f]{4})/g;

/** The parameters of an address, in which a half of a character is written as U+E000 and four digits. */
export class ViewParams extends URLSearchParams {
  /** @param {string} name */
  get(name) {
    const value = super.get(name);
    return value === null ? null : read(value);
  }

  /** @param {string} name */
  getAll(name) {
    return super.getAll(name).map(read);
  }
}

/** @param {string} value */
function written(value) {
  return value.replace(HALF, (half) => `\ue000${half.charCodeAt(0).toString(16)}`);
}

/** @param {string} value */
function read(value) {
  return value.replace(WRITTEN_HALF, (_, digits) => String.fromCharCode(Number.parseInt(digits, 16)));
}

/**
 * Makes the address of a view, relative, so that it holds behind a proxy that adds a path.
 * @param {string} view
 * @param {Params | URLSearchParams} [params]
 */
export function href(view, params = {}) {
  const query = new URLSearchParams({ view });
  if (params instanceof URLSearchParams) for (const [name, value] of params) query.append(name, value);
  else addParams(query, Object.entries(params));
  return `?${query}`;
}

/**
 * Adds parameters to those of an address.
 * @param {URLSearchParams} query
 * @param {Iterable<[string, Value | Value[]]>} entries
 */
export function addParams(query, entries) {
  for (const [name, value] of entries) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== null && each !== undefined && each !== '') query.append(name, written(String(each)));
    }
  }
}
