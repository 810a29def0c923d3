// What a condensed graph says of itself: names of nodes, rings, where a critical path leads.

import { count, some, stateWord } from '../../format.js';

/**
 * @typedef {object} GraphNode
 * @property {string} node
 * @property {string | null} task_id
 * @property {{display_name?: string, family: string} | null} task
 * @property {string | null} family
 * @property {string} state
 * @property {number} count
 * @property {boolean} exact
 * @property {number} distance
 * @property {number} further
 * @property {string} example
 * @property {Record<string, any> | null} more
 */
/** @typedef {{dependent: string, dep: string, count: number}} Edge */
/**
 * @typedef {object} Graph
 * @property {string} task_id
 * @property {'deps' | 'dependents'} direction
 * @property {GraphNode[]} nodes
 * @property {Edge[]} edges
 * @property {number} looked_at
 * @property {boolean} complete
 */

/**
 * Returns what a node is called: a task's name, or how many of which family.
 * @param {GraphNode} node
 */
export function nameOf(node) {
  if (node.task_id !== null) return (node.task?.family && node.task.display_name) || node.task_id; // not all see names
  const number = `${node.exact ? '' : 'at least '}${count(node.count)}`;
  return `${number} of ${node.family === null ? 'other families' : node.family || '(no family)'}`;
}

/**
 * Returns what is said of deps, or dependents, that were not looked at.
 * @param {GraphNode} node
 * @param {string} direction
 */
export function furtherOf(node, direction) {
  return node.further ? `${some(node.further, direction.slice(0, -1), direction)} not looked at` : '';
}

/**
 * Returns the nodes that each node needs, and those that need it.
 * @param {Graph} graph
 */
export function neighbours(graph) {
  const needs = new Map(graph.nodes.map((node) => [node.node, /** @type {string[]} */ ([])]));
  const neededBy = new Map(graph.nodes.map((node) => [node.node, /** @type {string[]} */ ([])]));
  for (const { dependent, dep } of graph.edges) {
    if (dependent === dep) continue;
    needs.get(dependent)?.push(dep);
    neededBy.get(dep)?.push(dependent);
  }
  return { needs, neededBy };
}

/**
 * Returns rings of tasks that need each other: of each ring its tasks in turn. Only single tasks are looked at, since
 * tasks of two groups may need each other without one.
 * @param {Graph} graph
 * @returns {string[][]} names of nodes
 */
export function rings(graph) {
  const isSingle = new Set(graph.nodes.filter((node) => node.task_id !== null).map((node) => node.node));
  /** @type {Map<string, string[]>} */
  const needs = new Map([...isSingle].map((name) => [name, []]));
  for (const { dependent, dep } of graph.edges) if (isSingle.has(dependent) && isSingle.has(dep)) needs.get(dependent)?.push(dep);
  const left = new Set();
  const found = [];
  for (const start of isSingle) {
    const path = left.has(start) ? [] : [{ name: start, next: 0 }];
    while (path.length) {
      const top = path[path.length - 1];
      const dep = needs.get(top.name)?.[top.next];
      top.next += 1;
      if (dep === undefined) {
        left.add(top.name);
        path.pop();
        continue;
      }
      const at = path.findIndex((each) => each.name === dep);
      if (at >= 0) found.push(path.slice(at).map((each) => each.name));
      else if (!left.has(dep)) path.push({ name: dep, next: 0 });
    }
  }
  return found;
}

/**
 * Returns the nodes that a critical path leads through, in the order in which they run.
 * @param {Graph} graph
 * @param {{steps: {task_id: string, family: string, state: string}[]} | null} path
 * @returns {string[]}
 */
export function nodesOnPath(graph, path) {
  const names = new Set(graph.nodes.map((node) => node.node));
  /** @type {string[]} */
  const found = [];
  for (const step of path?.steps ?? []) {
    const among = [`task:${step.task_id}`, `group:${step.state}:${step.family}`, `others:${step.state}`];
    const name = among.find((each) => names.has(each));
    if (name !== undefined && found[found.length - 1] !== name) found.push(name);
  }
  return found;
}

/**
 * Returns what a node says to who has it read aloud.
 * @param {GraphNode} node
 * @param {Graph} graph
 * @param {{needs: Map<string, string[]>, neededBy: Map<string, string[]>}} around
 */
export function toldOf(node, graph, around) {
  return [
    nameOf(node),
    stateWord(node.state),
    `needs ${around.needs.get(node.node)?.length ?? 0}`,
    `needed by ${around.neededBy.get(node.node)?.length ?? 0}`,
    furtherOf(node, graph.direction),
  ]
    .filter(Boolean)
    .join(', ');
}
