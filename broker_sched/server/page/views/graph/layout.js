// Where the nodes of a graph are drawn: in layers, so that what runs first stands before what needs it, with few crossings.

/**
 * @typedef {object} Wanted
 * @property {{name: string, width: number, height: number}[]} nodes the first one is that of which the graph is
 * @property {[string, string][]} edges from the one that runs first to the one that runs later
 * @property {'LR' | 'TB'} flow from left to right, or from top to bottom
 */
/** @typedef {{x: number, y: number}} Point */
/** @typedef {{width: number, height: number, nodes: Record<string, Point>, edges: Point[][]}} Layout nodes: their middles */
/**
 * A node, or a place where an edge passes a layer.
 * @typedef {{size: number, layer: number, at: number, before: Place[], after: Place[]}} Place
 */

const GAP = 14;
const EDGE_SIZE = 6; // of the room for an edge that passes
const LAYER_GAP = { LR: 80, TB: 46 };
const MARGIN = 16;
const SWEEPS = 8;
const MOST_PASSES = 3000; // of edges through layers; beyond, long edges go straight

/**
 * Lays a graph out.
 * @param {Wanted} wanted
 * @returns {Layout}
 */
export function laidOut({ nodes, edges, flow }) {
  const isAcross = flow === 'LR';
  const layers = layersOf(nodes, edges);
  /** @type {Map<string, Place>} */
  const places = new Map();
  /** @type {Place[][]} */
  const rows = [];
  for (const node of nodes) {
    const place = { size: isAcross ? node.height : node.width, layer: layers.get(node.name) ?? 0, at: 0, before: [], after: [] };
    places.set(node.name, place);
    (rows[place.layer] ??= []).push(place);
  }
  const chains = edges.map(([from, to]) => [places.get(from), places.get(to)]).map(([from, to]) => chainOf(from, to, rows));
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) sort(rows, sweep % 2 === 0);
  for (let sweep = 0; sweep < 2 * SWEEPS; sweep += 1) straighten(rows, sweep % 2 === 0);
  const all = rows.flat();
  const least = Math.min(...all.map((place) => place.at - place.size / 2));
  const length = Math.max(...all.map((place) => place.at + place.size / 2)) - least;
  const step = Math.max(...nodes.map((node) => (isAcross ? node.width : node.height))) + LAYER_GAP[flow];
  const half = (step - LAYER_GAP[flow]) / 2;
  /** @param {Place} place @param {number} [aside] */
  const pointOf = (place, aside = 0) => {
    const [along, across] = [MARGIN + half + place.layer * step + aside, MARGIN + place.at - least];
    return isAcross ? { x: along, y: across } : { x: across, y: along };
  };
  const [along, across] = [2 * MARGIN + rows.length * step - LAYER_GAP[flow], 2 * MARGIN + length];
  return {
    width: isAcross ? along : across,
    height: isAcross ? across : along,
    nodes: Object.fromEntries([...places].map(([name, place]) => [name, pointOf(place)])),
    edges: chains.map((chain) => {
      const side = Math.sign(chain[chain.length - 1].layer - chain[0].layer) * half;
      return chain.map((place, index) => pointOf(place, index === 0 ? side : index === chain.length - 1 ? -side : 0));
    }),
  };
}

/**
 * Says in which layer each node stands, the first at 0: as near to the node of which the graph is as its edges allow.
 * @param {Wanted['nodes']} nodes
 * @param {Wanted['edges']} edges
 */
function layersOf(nodes, edges) {
  const first = nodes[0].name;
  const isEnd = edges.every(([from]) => from !== first); // it needs all others; else they need it
  /** @type {Map<string, string[]>} */
  const towards = new Map(nodes.map(({ name }) => [name, []]));
  for (const [from, to] of edges) towards.get(isEnd ? from : to)?.push(isEnd ? to : from);
  /** @type {Map<string, number>} */
  const far = new Map();
  for (const { name } of nodes) measure(name, towards, far);
  const most = Math.max(...far.values());
  return new Map([...far].map(([name, steps]) => [name, isEnd ? most - steps : steps]));
}

/**
 * Finds the longest way from a node on. In a ring the edge that closes it is passed over.
 * @param {string} start
 * @param {Map<string, string[]>} towards
 * @param {Map<string, number>} far what was found so far
 */
function measure(start, towards, far) {
  const path = far.has(start) ? [] : [{ name: start, next: 0, steps: 0 }];
  const entered = new Set([start]);
  while (path.length) {
    const top = path[path.length - 1];
    const other = towards.get(top.name)?.[top.next];
    top.next += 1;
    if (other === undefined) {
      far.set(top.name, top.steps);
      entered.delete(top.name);
      path.pop();
      const above = path[path.length - 1];
      if (above) above.steps = Math.max(above.steps, top.steps + 1);
    } else if (far.has(other)) top.steps = Math.max(top.steps, (far.get(other) ?? 0) + 1);
    else if (!entered.has(other)) {
      entered.add(other);
      path.push({ name: other, next: 0, steps: 0 });
    }
  }
}

/**
 * Makes the places through which an edge goes, and notes them as neighbours.
 * @param {Place | undefined} from
 * @param {Place | undefined} to
 * @param {Place[][]} rows
 * @returns {Place[]}
 */
function chainOf(from, to, rows) {
  if (!from || !to) return [];
  const chain = [from];
  const step = Math.sign(to.layer - from.layer);
  const isLong = Math.abs(to.layer - from.layer) > 1 && rows.reduce((sum, row) => sum + row.length, 0) < MOST_PASSES;
  for (let layer = from.layer + step; isLong && layer !== to.layer; layer += step) {
    const passed = { size: EDGE_SIZE, layer, at: 0, before: [], after: [] };
    rows[layer].push(passed);
    chain.push(passed);
  }
  chain.push(to);
  for (let index = 1; index < chain.length; index += 1) {
    const [low, high] = step >= 0 ? [chain[index - 1], chain[index]] : [chain[index], chain[index - 1]];
    low.after.push(high);
    high.before.push(low);
  }
  return chain;
}

/** @param {number[]} numbers */
const mean = (numbers) => numbers.reduce((sum, each) => sum + each, 0) / numbers.length;

/**
 * Sorts each layer by where its neighbours stand in the one before, or behind.
 * @param {Place[][]} rows
 * @param {boolean} isForth
 */
function sort(rows, isForth) {
  for (const row of rows) row.forEach((place, index) => (place.at = index));
  for (const row of isForth ? rows : [...rows].reverse()) {
    const wanted = new Map(
      row.map((place) => {
        const near = isForth ? place.before : place.after;
        return [place, near.length ? mean(near.map((each) => each.at)) : place.at];
      }),
    );
    row.sort((one, other) => (wanted.get(one) ?? 0) - (wanted.get(other) ?? 0));
    row.forEach((place, index) => (place.at = index));
  }
}

/**
 * Moves the places of each layer towards their neighbours, without changing their order or letting them overlap: where
 * they would, they stand side by side around the middle of what they want.
 * @param {Place[][]} rows
 * @param {boolean} isForth
 */
function straighten(rows, isForth) {
  for (const row of isForth ? rows : [...rows].reverse()) {
    let used = 0;
    /** @type {{middle: number, n: number}[]} */
    const blocks = [];
    const offsets = row.map((place, index) => {
      if (index) used += (row[index - 1].size + place.size) / 2 + GAP;
      const near = [...place.before, ...place.after];
      const wanted = (near.length ? mean(near.map((each) => each.at)) : place.at) - used;
      let block = { middle: wanted, n: 1 };
      while (blocks.length && blocks[blocks.length - 1].middle > block.middle) {
        const last = /** @type {{middle: number, n: number}} */ (blocks.pop());
        block = { middle: (last.middle * last.n + block.middle * block.n) / (last.n + block.n), n: last.n + block.n };
      }
      blocks.push(block);
      return used;
    });
    let index = 0;
    for (const { middle, n } of blocks) {
      for (const end = index + n; index < end; index += 1) row[index].at = middle + offsets[index];
    }
  }
}
