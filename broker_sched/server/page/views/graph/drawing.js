// The graph as a drawing: what runs first at the left, on a narrow screen at the top.

import { html, useEffect, useMemo, useState } from '../../libraries.js';
import { STATES, stateWord } from '../../format.js';
import { useKeys } from '../../keys.js';
import { go, href, route, useParams } from '../../router.js';
import { State } from '../../ui/index.js';
import { pressArrow } from '../drawing/moves.js';
import { laidOut } from './layout.js';
import { usePanZoom } from './pan_zoom.js';
import { furtherOf, nameOf, neighbours, toldOf } from './shape.js';

const WIDTH = 210;
const HEIGHT = 42;
const LETTERS = 23; // of a name, that fit
const NARROW = 600; // pixels
const RUNNING = ['RUNNING', 'BATCH_RUNNING'];
const STEP = 80; // pixels, by which keys move the drawing

/** @typedef {import('./shape.js').GraphNode} GraphNode */

/** @param {{graph: import('./shape.js').Graph, onPath: string[]}} props */
export function Drawing({ graph, onPath }) {
  const flow = innerWidth < NARROW ? 'TB' : 'LR';
  const params = useParams();
  const open = params.getAll('open');
  const wanted = /** @type {import('./layout.js').Wanted} */ ({
    flow,
    nodes: graph.nodes.map((node) => ({ name: node.node, width: WIDTH, height: HEIGHT })),
    edges: graph.edges.filter(({ dependent, dep }) => dependent !== dep).map(({ dependent, dep }) => [dep, dependent]),
  });
  const layout = useMemo(() => laidOut(wanted), [JSON.stringify(wanted)]);
  const moving = usePanZoom();
  const { box, place } = moving;
  const { nodes } = graph;
  const [at, setAt] = useState(nodes[0].node);
  const current = nodes.some((node) => node.node === at) ? at : nodes[0].node;
  const isFollowing = params.has('follow');
  const whole = { x: 0, y: 0, width: layout.width, height: layout.height };
  const begin = () => {
    moving.show(whole);
    moving.reveal(boxOf(layout.nodes[nodes[0].node]));
  };
  useEffect(begin, [graph.task_id, graph.direction, open.join(), flow]);
  useEffect(() => {
    const running = nodes.filter((node) => RUNNING.includes(node.state)).map((node) => boxOf(layout.nodes[node.node]));
    if (isFollowing && running.length) moving.show(around(running));
  }, [isFollowing, graph, layout]);
  useKeys([
    { keys: '+', does: 'Zoom in', act: () => moving.zoom(1.25) },
    { keys: '-', does: 'Zoom out', act: () => moving.zoom(0.8) },
    { keys: '0', does: 'Show the whole graph', act: () => moving.show(whole, 0) },
  ]);
  /** @param {string} name */
  const focusNode = (name) => {
    for (const each of box.current?.querySelectorAll('a') ?? []) if (each.getAttribute('data-node') === name) each.focus();
  };
  /** @param {string} name of the node that has the focus now */
  const reach = (name) => {
    setAt(name);
    if (document.activeElement?.matches(':focus-visible')) moving.reveal(boxOf(layout.nodes[name]));
  };
  /** @param {Event} event a press that moves the drawing: keys are for it from then on */
  const hold = (event) => {
    event.preventDefault();
    if (!box.current?.contains(document.activeElement)) focusNode(current);
  };
  return html`
    <div class="graph-tools">
      <${Legend} nodes=${graph.nodes} hasPath=${onPath.length > 0} />
      <span class="grow"></span>
      <button type="button" title="Zoom in (+)" aria-label="Zoom in" onClick=${() => moving.zoom(1.25)}>+</button>
      <button type="button" title="Zoom out (-)" aria-label="Zoom out" onClick=${() => moving.zoom(0.8)}>−</button>
      <button type="button" title="Show the whole graph (0)" onClick=${() => moving.show(whole, 0)}>Whole</button>
    </div>
    <div class="graph-box" ref=${box} onKeyDown=${(/** @type {any} */ event) => pressArrow(event, 'a.node', (x, y) => moving.pan(STEP * x, STEP * y))} onMouseDown=${hold} role="group"
      aria-label="The graph. Arrow keys go to the nearest node, Enter opens it; “As a list” has the same in words.">
      <svg width="100%" height="100%" aria-hidden="false">
        <${Arrow} />
        <g transform=${`translate(${place.x} ${place.y}) scale(${place.scale})`}>
          <${Edges} wanted=${wanted} layout=${layout} onPath=${onPath} />
          <${Nodes} graph=${graph} layout=${layout} onPath=${onPath} current=${current} onFocus=${reach} />
        </g>
      </svg>
    </div>
    <p class="minor">Drag or Shift with an arrow key moves the drawing, the wheel zooms. Arrow keys go to the nearest node, Enter opens it.</p>
  `;
}

/** @param {{x: number, y: number}} middle */
function boxOf(middle) {
  return { x: middle.x - WIDTH / 2, y: middle.y - HEIGHT / 2, width: WIDTH, height: HEIGHT };
}

/** @param {ReturnType<typeof boxOf>[]} boxes */
function around(boxes) {
  const [x, y] = [Math.min(...boxes.map((each) => each.x)), Math.min(...boxes.map((each) => each.y))];
  const [right, bottom] = [Math.max(...boxes.map((each) => each.x + WIDTH)), Math.max(...boxes.map((each) => each.y + HEIGHT))];
  return { x, y, width: right - x, height: bottom - y };
}

function Arrow() {
  return html`<defs>
    ${['plain', 'critical'].map(
      (kind) => html`<marker key=${kind} id=${`arrow-${kind}`} class=${`arrow-${kind}`} viewBox="0 0 8 8" refX="8" refY="4"
        markerWidth="7" markerHeight="7" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 L8 4 L0 8 z" /></marker>`,
    )}
  </defs>`;
}

/** @param {{wanted: import('./layout.js').Wanted, layout: import('./layout.js').Layout, onPath: string[]}} props */
function Edges({ wanted, layout, onPath }) {
  const critical = new Set(onPath.slice(1).map((name, index) => `${onPath[index]} ${name}`));
  return html`<g class="edges" aria-hidden="true">
    ${wanted.edges.map(([from, to], index) => {
      const kind = critical.has(`${from} ${to}`) ? 'critical' : 'plain';
      const line = curve(layout.edges[index], wanted.flow === 'LR');
      return html`<path key=${`${from} ${to}`} class=${`edge ${kind}`} d=${line} marker-end=${`url(#arrow-${kind})`} />`;
    })}
  </g>`;
}

/**
 * A line through points that leaves and reaches each of them straight on.
 * @param {{x: number, y: number}[]} points
 * @param {boolean} isAcross
 */
function curve([first, ...others], isAcross) {
  let before = first;
  return others.reduce((line, { x, y }) => {
    const [middle, level] = [(before.x + x) / 2, (before.y + y) / 2];
    const bend = isAcross ? `${middle} ${before.y} ${middle} ${y}` : `${before.x} ${level} ${x} ${level}`;
    before = { x, y };
    return `${line} C${bend} ${x} ${y}`;
  }, `M${first.x} ${first.y}`);
}

/**
 * @param {{graph: import('./shape.js').Graph, layout: import('./layout.js').Layout, onPath: string[], current: string,
 *   onFocus: (name: string) => void}} props
 */
function Nodes({ graph, layout, onPath, current, onFocus }) {
  const near = useMemo(() => neighbours(graph), [graph]);
  const order = new Map(onPath.map((name, index) => [name, index + 1]));
  return html`<g>
    ${graph.nodes.map((node) => {
      const { x, y } = layout.nodes[node.node];
      const [view, params] = targetOf(node, graph);
      /** @param {MouseEvent} event */
      const open = (event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        go(view, params);
      };
      const step = order.get(node.node);
      const told = `${toldOf(node, graph, near)}${step ? `, step ${step} of the critical path` : ''}`;
      const further = furtherOf(node, graph.direction);
      return html`<a key=${node.node} href=${href(view, params)} data-node=${node.node} tabindex=${node.node === current ? 0 : -1}
          aria-label=${told} transform=${`translate(${x - WIDTH / 2} ${y - HEIGHT / 2})`} onClick=${open} onFocus=${() => onFocus(node.node)}
          class=${`node state-${STATES[node.state] ? node.state.toLowerCase() : 'unknown'} ${step ? 'critical' : ''}`}>
        <title>${told}</title>
        ${node.count > 1 ? html`<rect class="behind" x="4" y="4" width=${WIDTH} height=${HEIGHT} rx="6" />` : null}
        <rect class="frame" width=${WIDTH} height=${HEIGHT} rx="6" />
        <text class="name" x="10" y="17">${shortened(nameOf(node))}</text>
        <text class="word" x="10" y="34">${STATES[node.state]?.mark ?? '?'} ${stateWord(node.state)}${further ? ' · more beyond' : ''}</text>
        ${step ? html`<text class="step" x=${WIDTH - 8} y="34" text-anchor="end">◆ ${step}</text>` : null}
      </a>`;
    })}
  </g>`;
}

/**
 * Where a click on a node leads: to the task; a group is unfolded, or else shown from its nearest task on.
 * @param {GraphNode} node
 * @param {import('./shape.js').Graph} graph
 * @returns {[string, URLSearchParams | Record<string, any>]}
 */
export function targetOf(node, graph) {
  if (node.task_id !== null) return ['task', { id: node.task_id }];
  const kept = new URLSearchParams(route.value.params);
  kept.delete('open');
  if (node.more?.expand) {
    for (const each of node.more.expand) kept.append('open', each);
  } else {
    kept.set('id', node.more?.task_id ?? node.example ?? graph.task_id);
  }
  return ['graph', kept];
}

/** @param {string} name */
function shortened(name) {
  const letters = [...name];
  return letters.length > LETTERS ? `${letters.slice(0, LETTERS - 1).join('')}…` : name;
}

/** @param {{nodes: GraphNode[], hasPath: boolean}} props */
function Legend({ nodes, hasPath }) {
  const states = [...new Set(nodes.map((node) => node.state))];
  return html`<ul class="legend" aria-label="States in the graph">
    ${states.map((state) => html`<li key=${state}><${State} state=${state} /></li>`)}
    ${hasPath ? html`<li class="on-path"><span aria-hidden="true">◆</span> critical path</li>` : null}
  </ul>`;
}
