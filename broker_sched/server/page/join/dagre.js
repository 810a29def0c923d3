// What lays graphs out, as built/dagre.js: only the layout worker loads it.
export { Graph, layout } from '@dagrejs/dagre';
