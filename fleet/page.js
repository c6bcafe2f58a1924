(() => {
  'use strict';
  const refreshEvery = 10000, searchDelay = 250;
  const form = document.getElementById('search');
  const stale = document.getElementById('stale');
  let timer, delay, request;

  // replace puts the parts of a new page in place of the old ones. The search form stays.
  const replace = (text) => {
    const next = new DOMParser().parseFromString(text, 'text/html');
    const parts = ['top', 'list', 'off'];
    if (parts.some((id) => !next.getElementById(id) !== !document.getElementById(id))) {
      location.reload(); // the process has begun or ceased to run the fleet
      return;
    }
    const focused = document.activeElement?.getAttribute('href');
    const scrolled = document.querySelector('.scroll')?.scrollLeft;
    for (const id of parts) {
      document.getElementById(id)?.replaceWith(document.importNode(next.getElementById(id), true));
    }
    document.title = next.title;
    const scroll = document.querySelector('.scroll');
    if (scroll && scrolled) scroll.scrollLeft = scrolled;
    if (focused && document.activeElement === document.body) {
      [...document.links].find((a) => a.getAttribute('href') === focused)?.focus();
    }
  };

  const fail = (reason) => {
    const fresh = document.getElementById('fresh')?.textContent;
    stale.textContent = `Not refreshed${fresh ? ' since ' + fresh : ''}: ${reason}`;
    stale.hidden = false;
  };

  // load shows what the URL of the window selects.
  const load = async () => {
    clearTimeout(timer);
    request?.abort();
    const mine = request = new AbortController();
    const late = setTimeout(() => mine.abort(), refreshEvery);
    try {
      const response = await fetch(location.href, { signal: mine.signal, cache: 'no-store' });
      const text = await response.text();
      if (request !== mine) return;
      if (!response.headers.get('Content-Type')?.startsWith('text/html')) throw new Error(text.slice(0, 200));
      replace(text);
      stale.hidden = true;
    } catch (error) {
      if (request !== mine) return;
      fail(error.name === 'AbortError' ? 'no response within 10 s' : error.message);
    } finally {
      clearTimeout(late);
      if (request === mine) timer = setTimeout(refresh, refreshEvery);
    }
  };

  // refresh leaves text that is being selected, and a page that nobody sees.
  const refresh = () => {
    clearTimeout(timer);
    const selecting = getSelection()?.isCollapsed === false && !form?.contains(document.activeElement);
    if (document.hidden || selecting) {
      timer = setTimeout(refresh, 1000);
      return;
    }
    load();
  };

  const search = (replacing) => {
    clearTimeout(delay);
    const params = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value.trim()) params.set(name, value.trim());
    const query = params.toString();
    history[replacing ? 'replaceState' : 'pushState'](null, '', query ? './?' + query : './');
    load();
  };

  const fillForm = () => {
    const params = new URLSearchParams(location.search);
    form.elements.q.value = params.get('q') ?? '';
    form.elements.state.value = params.get('state') ?? '';
  };

  if (form) {
    form.addEventListener('submit', (event) => { event.preventDefault(); search(false); });
    form.elements.q.addEventListener('input', () => {
      clearTimeout(delay);
      delay = setTimeout(() => search(true), searchDelay);
    });
    form.elements.state.addEventListener('change', () => search(false));
    document.addEventListener('click', (event) => {
      const link = event.target.closest?.('.pager a');
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      history.pushState(null, '', link.getAttribute('href'));
      fillForm();
      load().then(() => form.scrollIntoView());
    });
    addEventListener('popstate', () => { fillForm(); load(); });
  }
  document.addEventListener('visibilitychange', () => { if (!document.hidden) refresh(); });
  timer = setTimeout(refresh, refreshEvery);
})();
