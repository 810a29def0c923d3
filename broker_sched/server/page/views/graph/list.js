// The graph as a list: each node with those that it needs, in words.

import { html } from '../../libraries.js';
import { href } from '../../router.js';
import { State } from '../../ui/index.js';
import { targetOf } from './drawing.js';
import { furtherOf, nameOf, neighbours } from './shape.js';

const MOST = 10; // neighbours named of each node

/** @param {{graph: import('./shape.js').Graph, onPath: string[]}} props */
export function GraphList({ graph, onPath }) {
  const { needs, neededBy } = neighbours(graph);
  const nodes = new Map(graph.nodes.map((node) => [node.node, node]));
  const order = new Map(onPath.map((name, index) => [name, index + 1]));
  return html`<ol class="graph-list" aria-label="The graph, the nearest tasks first">
    ${graph.nodes.map((node) => {
      const [view, params] = targetOf(node, graph);
      const further = furtherOf(node, graph.direction);
      return html`<li key=${node.node} id=${placeOf(graph, node.node)} tabindex="-1">
        <a class="id" href=${href(view, params)}>${nameOf(node)}</a> <${State} state=${node.state} />
        ${order.has(node.node) ? html` <span class="on-path">◆ step ${order.get(node.node)} of the critical path</span>` : null}
        ${further ? html` <span class="minor">${further}</span>` : null}
        ${node.further && node.task_id !== null && node.distance
          ? html` <a href=${href('graph', { id: node.task_id, direction: graph.direction })}>graph from here</a>`
          : null}
        <${Near} label="needs" names=${needs.get(node.node) ?? []} nodes=${nodes} graph=${graph} />
        <${Near} label="needed by" names=${neededBy.get(node.node) ?? []} nodes=${nodes} graph=${graph} />
      </li>`;
    })}
  </ol>`;
}

/** @param {{label: string, names: string[], nodes: Map<string, import('./shape.js').GraphNode>, graph: import('./shape.js').Graph}} props */
function Near({ label, names, nodes, graph }) {
  if (!names.length) return null;
  return html`<div class="minor">${label}: ${names.slice(0, MOST).map((name, index) => {
    const node = nodes.get(name);
    const jump = (/** @type {Event} */ event) => {
      event.preventDefault();
      document.getElementById(placeOf(graph, name))?.focus();
    };
    return node ? html`${index ? ', ' : ''}<a href=${`#${placeOf(graph, name)}`} onClick=${jump}>${nameOf(node)}</a>` : null;
  })}${names.length > MOST ? ` and ${names.length - MOST} more` : ''}</div>`;
}

/**
 * @param {import('./shape.js').Graph} graph
 * @param {string} name
 */
function placeOf(graph, name) {
  return `node-${graph.nodes.findIndex((node) => node.node === name)}`;
}
