/** A resource in one served version: how its objects look there, and where they rest. */

import { Interned } from "#shared/api/interned.ts";
import { apiVersionOf, type GroupVersionKind, type KubeObject } from "#shared/api/object.ts";
import { type Schema, schemaFor } from "#shared/api/schema/schema.ts";
import type { Labels } from "#shared/api/selector/label-selector.ts";
import type { CachedObject } from "../request.ts";
import type { Entry, Indexed } from "../watch-cache/entry.ts";
import type { ResourceCache } from "../watch-cache/resource-cache.ts";
import { bareObject, bareText, deepFreeze, servedText } from "../watch-cache/stored-text.ts";
import type { ResourceDeclaration } from "./declaration.ts";

/** Where a declaration's objects rest. Several served resources may share one (versions; events of two groups). */
export interface StoredResource {
  readonly declaration: ResourceDeclaration;
  readonly cache: ResourceCache;
}

interface Conversion {
  fromStored(object: KubeObject): KubeObject;
  toStored(object: KubeObject): KubeObject;
}

export class ServedResource {
  readonly apiVersion: string;
  readonly gvk: GroupVersionKind;
  /** Whether clients are served, not the server's own parts alone. */
  readonly isForAll: boolean;
  /** Of a deprecated version: Kubernetes' version without it. */
  readonly removedRelease: string | undefined;
  readonly #conversion: Conversion | undefined;
  /** How a stored text begins that already is of this version. */
  readonly #head: string;
  readonly #isStoredForm: boolean;
  /** Converted forms of entries, as long as the entries live. */
  readonly #converted = new WeakMap<Entry, CachedObject>();

  constructor(
    readonly declaration: ResourceDeclaration,
    readonly version: string,
    readonly deprecationWarning: string | undefined,
    /** Absent for what is computed and never stored. */
    readonly stored: StoredResource | undefined,
    { isForAll, removedRelease }: { readonly isForAll: boolean; readonly removedRelease?: string | undefined } = {
      isForAll: true,
    },
  ) {
    this.isForAll = isForAll;
    this.removedRelease = removedRelease;
    const { group, kind } = declaration.ref;
    this.gvk = { group, version, kind };
    this.apiVersion = apiVersionOf(this.gvk);
    const own = declaration.versions?.find((served) => served.version === version)?.convert;
    this.#conversion = declaration.storedAs ?? own;
    this.#isStoredForm = declaration.storedAs === undefined && version === declaration.ref.version;
    this.#head = `{"apiVersion":${JSON.stringify(this.apiVersion)},"kind":${JSON.stringify(kind)},`;
  }

  /** `pods`, with the group: how errors name it. */
  get name(): { readonly group: string; readonly plural: string } {
    return this.declaration.ref;
  }

  get schema(): Schema | undefined {
    return this.declaration.schema ? this.declaration.schema(this.version) : schemaFor(this.gvk);
  }

  get storedSchema(): Schema | undefined {
    const { declaration } = this;
    const ref = declaration.storedAs?.ref ?? declaration.ref;
    return declaration.schema ? declaration.schema(ref.version) : schemaFor(ref);
  }

  /** The declaration whose strategy judges the stored form. */
  get storedDeclaration(): ResourceDeclaration {
    return this.stored?.declaration ?? this.declaration;
  }

  get listKind(): string {
    return this.declaration.listKind ?? `${this.declaration.ref.kind}List`;
  }

  /** The declaration that writes go by: of custom resources this version's own, and of what is stored as another kind
   *  its own with rules for the stored form; else that of the stored form. */
  get workingDeclaration(): ResourceDeclaration {
    const { declaration } = this;
    return declaration.converter || declaration.storedAs ? declaration : this.storedDeclaration;
  }

  /** What errors about an object call its kind: the one that rests. */
  get judgedKind(): { readonly group: string; readonly kind: string } {
    return this.declaration.storedAs?.ref ?? this.gvk;
  }

  /** The schema of what writes work on. */
  get workingSchema(): Schema | undefined {
    return this.declaration.converter ? this.schema : this.storedSchema;
  }

  /** Converts what `serve` is to be asked for, where that is not done at once; undefined when there is nothing to wait for. */
  ready(entries: readonly Entry[]): Promise<void> | undefined {
    const { converter } = this.declaration;
    if (!converter) return undefined;
    const missing = entries.filter((entry) => !this.#converted.has(entry));
    if (missing.length === 0) return undefined;
    const views = missing.map((entry) => entry.view());
    const made = converter.read(views, this.version);
    const remember = (objects: readonly KubeObject[]): void => {
      for (const [index, entry] of missing.entries()) {
        const object = objects[index];
        if (object === undefined) throw new Error(`${this.apiVersion}: an object was lost in conversion`);
        this.#converted.set(entry, object === views[index] ? entry : new ViewedObject(entry, object));
      }
    };
    if (made instanceof Promise) return made.then(remember);
    remember(made);
    return undefined;
  }

  /** An entry under another revision, converted already where the first one is. */
  moved(entry: Entry, revision: number): Entry {
    const moved = entry.at(revision);
    const known = this.declaration.converter && this.#converted.get(entry);
    if (known) this.#converted.set(moved, known === entry ? moved : new ViewedObject(moved, known.view()));
    return moved;
  }

  /** What a write starts from. Frozen. */
  async working(entry: Entry): Promise<KubeObject> {
    if (!this.declaration.converter) return entry.view();
    await this.ready([entry]);
    return this.serve(entry).view();
  }

  /** A decoded object in the form that writes work on. May be the same object, changed. */
  toWorking(object: KubeObject): KubeObject {
    return this.declaration.converter ? object : this.toStored(object);
  }

  /** The other way; never changes its argument. */
  fromWorking(object: KubeObject): KubeObject {
    return this.declaration.converter ? object : this.fromStored(object);
  }

  /** What a write has made, as it is stored. */
  toRest(object: KubeObject): KubeObject | Promise<KubeObject> {
    return this.declaration.converter ? this.declaration.converter.write(object) : object;
  }

  /** An entry as this version serves it. Where `ready` gives something to wait for, wait for it first. */
  serve(entry: Entry): CachedObject {
    if (this.declaration.converter) {
      const known = this.#converted.get(entry);
      if (known) return known;
      void this.ready([entry])?.catch(() => undefined);
      const made = this.#converted.get(entry);
      if (made) return made;
      throw new Error(`${entry.key} has not been converted to ${this.apiVersion}`);
    }
    // What was stored before the stored version changed still bears the old one.
    if (entry.hasHead(this.#head)) return entry;
    const known = this.#converted.get(entry);
    if (known) return known;
    const converted = this.#conversion
      ? new ConvertedObject(entry, this.#conversion)
      : new RenamedObject(entry, this.#head, this.apiVersion);
    this.#converted.set(entry, converted);
    return converted;
  }

  /** Every entry can be served at once and as it rests, whatever happens to its definition. */
  get isServedAsStored(): boolean {
    return this.#isStoredForm && this.#conversion === undefined && !this.declaration.custom;
  }

  /** A decoded object of this version in its stored form. May be the same object, changed. */
  toStored(object: KubeObject): KubeObject {
    if (this.#conversion) return this.#conversion.toStored(object);
    if (!this.#isStoredForm) object.apiVersion = apiVersionOf(this.declaration.ref);
    return object;
  }

  /** The other way; never changes its argument. */
  fromStored(object: KubeObject): KubeObject {
    if (this.#conversion && object.apiVersion !== this.apiVersion) return this.#conversion.fromStored(object);
    return object.apiVersion === this.apiVersion ? object : { ...object, apiVersion: this.apiVersion };
  }
}

/** Another version of the same structure: only apiVersion differs. */
class RenamedObject implements CachedObject {
  constructor(
    private readonly entry: Entry,
    private readonly head: string,
    private readonly apiVersion: string,
  ) {}

  get key(): string {
    return this.entry.key;
  }
  get revision(): number {
    return this.entry.revision;
  }
  text(): string {
    return servedText(this.entry.stored, this.entry.revision, this.head);
  }
  bareText(): string {
    return bareText(this.entry.stored, this.entry.revision);
  }
  view(): KubeObject {
    return Object.freeze({ ...this.entry.view(), apiVersion: this.apiVersion });
  }
}

/** Converted already. */
class ViewedObject implements CachedObject {
  readonly #object: KubeObject;

  constructor(
    private readonly entry: Entry,
    object: KubeObject,
  ) {
    // Revision 0 has never been stored.
    const revision = entry.revision > 0 && { resourceVersion: String(entry.revision) };
    this.#object = deepFreeze({ ...object, metadata: { ...object.metadata, ...revision } });
  }

  get key(): string {
    return this.entry.key;
  }
  get revision(): number {
    return this.entry.revision;
  }
  text(): string {
    return JSON.stringify(this.#object);
  }
  bareText(): string {
    return JSON.stringify(bareObject(this.#object));
  }
  view(): KubeObject {
    return this.#object;
  }
}

class ConvertedObject implements CachedObject {
  #view: KubeObject | undefined;

  constructor(
    private readonly entry: Entry,
    private readonly conversion: Conversion,
  ) {}

  get key(): string {
    return this.entry.key;
  }
  get revision(): number {
    return this.entry.revision;
  }
  text(): string {
    return JSON.stringify(this.view());
  }
  bareText(): string {
    return JSON.stringify(bareObject(this.view()));
  }
  view(): KubeObject {
    this.#view ??= deepFreeze(this.conversion.fromStored(this.entry.view()));
    return this.#view;
  }
}

/** Objects of one template have the same labels and fields: kept once, they cost an index next to nothing. */
const knownLabels = new Interned<Labels>(4096);
const knownValues = new Interned<string>(4096);

/** What the cache keeps beside an object's text. */
export function indexerOf(declaration: ResourceDeclaration): (view: KubeObject) => Indexed {
  const getters = Object.entries(declaration.selectableFields ?? {});
  return (view) => {
    const fields: Record<string, string> = {};
    for (const [name, get] of getters) {
      const value = get(view);
      if (value !== "") fields[name] = knownValues.get(value, value);
    }
    const { labels } = view.metadata;
    return { labels: labels && knownLabels.get(JSON.stringify(labels), deepFreeze(labels)), fields };
  };
}
