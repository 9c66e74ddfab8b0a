/** A value of a configuration file with the place where it stands. What is wrong with it is collected, not thrown, so that a
 *  person learns of everything at once. */
export class Field {
  constructor(
    readonly value: unknown,
    readonly path: string,
    readonly problems: string[],
  ) {}

  get isAbsent(): boolean {
    return this.value === undefined || this.value === null;
  }

  complain(what: string): void {
    this.problems.push(`${this.path}: ${what}`);
  }

  /** The fields of a mapping; one that is not among the names is a fault. */
  fields<K extends string>(names: readonly K[]): Record<K, Field> {
    const known = new Set<string>(names);
    const content = this.#mapping();
    for (const name of Object.keys(content)) if (!known.has(name)) this.complain(`unknown field "${name}"`);
    const entries = names.map((name) => [name, this.#child(name, content[name])]);
    return Object.fromEntries(entries) as Record<K, Field>;
  }

  items(): Field[] {
    if (this.isAbsent) return [];
    if (Array.isArray(this.value))
      return this.value.map((item, index) => new Field(item, `${this.path}[${index}]`, this.problems));
    this.complain("expected a list");
    return [];
  }

  text(fallback = ""): string {
    if (this.isAbsent) return fallback;
    if (typeof this.value === "string") return this.value;
    this.complain("expected text");
    return fallback;
  }

  boolean(fallback: boolean): boolean {
    if (this.isAbsent) return fallback;
    if (typeof this.value === "boolean") return this.value;
    this.complain("expected true or false");
    return fallback;
  }

  integer(fallback: number, { min, max }: { readonly min: number; readonly max: number }): number {
    if (this.isAbsent) return fallback;
    const { value } = this;
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max) return value;
    const range = Number.isFinite(max) ? `[${min}, ${max}]` : `[${min}, inf)`;
    this.complain(`expected a whole number in ${range}, got ${JSON.stringify(value)}`);
    return fallback;
  }

  choice<C extends string>(fallback: C, choices: readonly C[]): C {
    const found = choices.find((choice) => choice === this.value);
    if (found !== undefined) return found;
    if (!this.isAbsent) this.complain(`supported values: ${choices.join(", ")}; got ${JSON.stringify(this.value)}`);
    return fallback;
  }

  #mapping(): Readonly<Record<string, unknown>> {
    if (this.isAbsent) return {};
    if (typeof this.value === "object" && !Array.isArray(this.value)) return this.value as Record<string, unknown>;
    this.complain("expected a mapping");
    return {};
  }

  #child(name: string, value: unknown): Field {
    return new Field(value, this.path === "" ? name : `${this.path}.${name}`, this.problems);
  }
}
