// A browser without scripts: cookies, redirects, forms. For walks through consent where no picture is needed.
import http from 'node:http';

/** No page takes longer. */
const ANSWER_MS = 120_000;
const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'", '#x27': "'", '#34': '"', '#60': '<', '#62': '>', '#38': '&', '#x2F': '/' };
const unescape = (text) => text.replace(/&([a-zA-Z0-9#]+);/g, (all, name) => ENTITIES[name] ?? all);
const attribute = (tag, name) => {
  const found = tag.match(new RegExp(`\\s${name}="([^"]*)"`));
  return found ? unescape(found[1]) : undefined;
};

/** A page as it came, with its forms and where it moves on to by itself. */
class Page {
  constructor(url, status, headers, text) {
    Object.assign(this, { url, status, headers, text });
  }

  /** The forms: where to, what is in them, which buttons. */
  get forms() {
    return [...this.text.matchAll(/<form\b[^>]*>[\s\S]*?<\/form>/g)].map(([form]) => {
      const head = form.match(/<form\b[^>]*>/)[0];
      const inputs = [...form.matchAll(/<input\b[^>]*>/g)].map(([tag]) => tag);
      const buttons = [...form.matchAll(/<button\b[^>]*>/g)].map(([tag]) => tag);
      const fields = new Map();
      for (const tag of inputs) {
        const [name, chosen] = [attribute(tag, 'name'), /\schecked\b/.test(tag)];
        // Of radio buttons the checked one counts; a person who must choose takes the first.
        if (name && (chosen || attribute(tag, 'type') !== 'radio' || !fields.has(name))) fields.set(name, attribute(tag, 'value') ?? '');
      }
      return {
        action: new URL(attribute(head, 'action') || this.url, this.url).href,
        method: (attribute(head, 'method') ?? 'get').toUpperCase(),
        fields: Object.fromEntries(fields),
        buttons: buttons.map((tag) => ({ name: attribute(tag, 'name'), value: attribute(tag, 'value') })),
      };
    });
  }

  /** The address a page moves on to without being asked, by header or by `<meta http-equiv="refresh">`. */
  get next() {
    if (this.status >= 300 && this.status < 400) return this.headers.location;
    const meta = this.text.match(/<meta\s+http-equiv="refresh"[^>]*>/i)?.[0];
    const refresh = this.headers?.refresh ?? (meta && attribute(meta, 'content'));
    return refresh?.match(/url=(.*)$/i)?.[1];
  }

  /** The form with which this decision is given, if the page asks for one. */
  decision(value) {
    const gives = (form) => form.fields.decision === value || form.buttons.some((button) => button.name === 'decision' && button.value === value);
    return this.forms.find(gives);
  }
}

export class Visitor {
  #jars = new Map();
  /** Every address that was asked, in order. */
  trail = [];

  /** One exchange, no redirect followed. */
  ask(url, { form, ...more } = {}) {
    return this.send(url, { body: form && new URLSearchParams(form).toString(), form, ...more });
  }

  /** The same with any body. */
  send(url, { method = 'GET', form, body, headers = {} } = {}) {
    const { hostname, port, origin } = new URL(url);
    const jar = this.#jars.get(hostname) ?? this.#jars.set(hostname, new Map()).get(hostname);
    const sent = {
      accept: 'text/html',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
      'sec-fetch-site': form ? 'same-origin' : 'none',
      ...(jar.size && { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') }),
      ...(form && { origin, 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(body) }),
      ...headers,
    };
    this.trail.push(url);
    return new Promise((resolve, reject) => {
      const { pathname, search } = new URL(url);
      const signal = AbortSignal.timeout(ANSWER_MS);
      const request = http.request({ hostname, port, path: pathname + search, method, headers: sent, signal }, (answer) => {
        for (const cookie of answer.headers['set-cookie'] ?? []) {
          const [, name, value] = cookie.match(/^([^=]+)=([^;]*)/);
          if (value === '' || /max-age=0/i.test(cookie)) jar.delete(name);
          else jar.set(name, value);
        }
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk) => (text += chunk));
        answer.on('end', () => resolve(new Page(url, answer.statusCode, answer.headers, text))).on('error', reject);
      });
      request.on('error', reject).end(body);
    });
  }

  /** Follows redirects until a page stays, or until the address begins with `until`; then that address is the page. */
  async follow(page, until) {
    for (let hops = 0; hops < 20; hops++) {
      if (!page.next) return page;
      const url = new URL(page.next, page.url).href;
      if (until && url.startsWith(until)) return new Page(url, undefined, {}, '');
      page = await this.ask(url);
    }
    throw new Error(`too many redirects:\n${this.trail.join('\n')}`);
  }

  async open(url, until) {
    return this.follow(await this.ask(url), until);
  }

  /** Gives the decision; `more` are fields that the person fills in. */
  async decide(page, value, until, more = {}) {
    const form = page.decision(value);
    if (!form) throw new Error(`no decision is asked at ${page.url}:\n${page.text}`);
    const fields = { ...form.fields, decision: value, ...more };
    return this.follow(await this.ask(form.action, { method: form.method, form: fields }), until);
  }

  /** Walks from a consent request to `until`, giving one answer per page that asks; the last answer is repeated. */
  async consent(url, until, answers = ['allow']) {
    let page = await this.open(url, until);
    for (let turn = 0; page.decision('allow'); turn++) {
      if (turn > 5) throw new Error(`asked again and again:\n${this.trail.join('\n')}`);
      page = await this.decide(page, answers[Math.min(turn, answers.length - 1)], until);
    }
    return page;
  }
}
