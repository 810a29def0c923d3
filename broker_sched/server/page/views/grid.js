import { html } from '../built/libraries.js';
import { Empty } from '../ui/index.js';

export default function View() {
  return html`<${Empty}>This view is not there yet.</${Empty}>`;
}
