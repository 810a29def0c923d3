// JSON with whole numbers that no number of JavaScript holds exactly.

const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const LONG = /\d{16}/;
const WHOLE = /^-?\d+$/;

/**
 * Puts whole numbers beyond 2^53 into quotes, so that they are read as texts, digit for digit.
 * @param {string} json
 */
export function exactNumbers(json) {
  if (!LONG.test(json)) return json;
  return json.replace(TOKEN, (token) =>
    WHOLE.test(token) && !Number.isSafeInteger(Number(token)) ? `"${token}"` : token,
  );
}
