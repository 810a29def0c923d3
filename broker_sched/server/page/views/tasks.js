// Tasks: how many each family has in each state; with a filter, those for which it holds.

import { html } from '../libraries.js';
import { Families } from './tasks/families.js';
import { chosenBy, TaskFilters } from './tasks/filters.js';
import { TaskList } from './tasks/list.js';

/** @param {{params: URLSearchParams}} props */
export default function Tasks({ params }) {
  const choice = chosenBy(params);
  return html`
    <${TaskFilters} params=${params} wrong=${choice.wrong} />
    ${choice.isAny || params.has('list')
      ? html`<${TaskList} key=${choice.key} choice=${choice} order=${params.get('order') === 'oldest' ? 'oldest' : 'newest'} />`
      : html`<${Families} />`}
  `;
}
