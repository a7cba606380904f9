// The description that a broker gives of itself, and whether its answers are what it says.
import assert from 'node:assert/strict';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

const KEY = 'openapi.json';

export class Description {
  #ajv = addFormats(new Ajv2020({ strict: false, allErrors: true }));
  #templates;

  constructor(document) {
    this.document = document;
    this.#ajv.addSchema(document, KEY);
    // Where a name and a word both fit, the word wins, as in the server.
    const names = (template) => template.split('{').length;
    this.#templates = Object.keys(document.paths)
      .sort((a, b) => names(a) - names(b))
      .map((template) => [template, new RegExp(`^${template.replace(/[.]/g, '\\.').replace(/\{[^}]+\}/g, '[^/]+')}$`)]);
  }

  static async of(url) {
    return new Description(await (await fetch(`${url}/openapi.json`, { signal: AbortSignal.timeout(60_000) })).json());
  }

  /** The path of the description that serves this path; nothing for pages and for what is not there. */
  template(method, path) {
    const [bare] = path.split('?');
    const [template] = this.#templates.find(([, form]) => form.test(bare)) ?? [];
    return template && this.document.paths[template][method.toLowerCase()] && template;
  }

  /** Fails unless the answer is described, status and body. */
  check(method, path, { status, body, text }) {
    const template = this.template(method, path);
    if (!template) return;
    const told = `${method} ${path} -> ${status} ${text}`;
    const { responses } = this.document.paths[template][method.toLowerCase()];
    const at = ['paths', template, method.toLowerCase(), 'responses', String(status)];
    assert.ok(responses[status], `the description of ${method} ${template} does not have this status: ${told}`);
    const shared = responses[status].$ref?.split('/').slice(1);
    const where = shared ?? at;
    const response = where.reduce((value, name) => value[name], this.document);
    if (!response.content) return assert.equal(text, '', `described as empty: ${told}`);
    if (!response.content['application/json']) return undefined;
    const pointer = [...where, 'content', 'application/json', 'schema'].map(escaped).join('/');
    const fits = this.#ajv.getSchema(`${KEY}#/${pointer}`);
    assert.ok(fits(body), `not what is described: ${told}\n${JSON.stringify(fits.errors, null, 1)}`);
    return undefined;
  }
}

/** A part of a JSON pointer inside of a URI fragment. */
const escaped = (name) => encodeURIComponent(name.replaceAll('~', '~0').replaceAll('/', '~1'));
