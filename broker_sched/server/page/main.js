// Where the page begins.

import { html, render } from './libraries.js';
import { startClock } from './clock.js';
import { startKeys } from './keys.js';
import { startLive } from './live.js';
import { startRouter } from './router.js';
import { Shell } from './shell.js';
import { startVisibleText } from './visible_text.js';

startVisibleText();
startLive();
startRouter();
startKeys();
startClock();
render(html`<${Shell} />`, document.body);
