/** Versions of custom kinds for field management, which reckons at once: what a webhook converts is waited for outside. */
import { messageOf } from "#shared/api/joined-errors.ts";
import {
  ConversionFailed,
  type ManagedResource,
  type OtherVersion,
  rootAtom,
  typeProblems,
} from "#shared/api/managed-fields/index.ts";
import { fieldsOf, type KubeObject, parseApiVersion } from "#shared/api/object.ts";
import type { JsonObject } from "#shared/api/patch/json-value.ts";
import type { Schema } from "#shared/api/schema/schema.ts";
import type { VersionConverter } from "./declaration.ts";
import { managedResource } from "./managed-resource.ts";
import type { ServedResource } from "./served-resource.ts";
import type { WriteScope } from "./write-scope.ts";

/**
 * What `reckon` gives for the endpoint that is written to. It is pure, and is run anew whenever it has asked for a conversion that
 * had to be waited for: each run gets further by one conversion, of which there are a few for each version that has an entry.
 */
export async function reckonManagedFields<T>(scope: WriteScope, reckon: (managed: ManagedResource) => T): Promise<T> {
  const managed = managedResource(scope);
  const { converter } = scope.resource.declaration;
  if (converter === undefined) return reckon(managed);
  const conversions = new Conversions(scope.resource, converter);
  const asked = { ...managed, otherVersion: (apiVersion: string) => conversions.versionOf(apiVersion) };
  for (;;) {
    try {
      return reckon(asked);
    } catch (error) {
      if (!(error instanceof ConversionAwaited)) throw error;
      await error.made;
    }
  }
}

/** Ends a run that needs a conversion's result. */
class ConversionAwaited extends Error {
  override readonly name = "ConversionAwaited";
  constructor(readonly made: Promise<void>) {
    super("a conversion has to be waited for");
  }
}

/** Conversions that were asked for during one reckoning. */
class Conversions {
  readonly #known = new Map<string, JsonObject | ConversionFailed>();

  constructor(
    private readonly resource: ServedResource,
    private readonly converter: VersionConverter,
  ) {}

  /** undefined for the version that is written. */
  versionOf(apiVersion: string): OtherVersion | undefined {
    const { resource } = this;
    if (apiVersion === resource.apiVersion) return undefined;
    const schema = resource.declaration.schema?.(parseApiVersion(apiVersion).version);
    return {
      schema,
      convert: (object) => this.#converted(object, apiVersion, schema),
      revert: (object) => this.#converted(object, resource.apiVersion, resource.schema),
    };
  }

  #converted(object: JsonObject, apiVersion: string, schema: Schema | undefined): JsonObject {
    const key = `${apiVersion} ${JSON.stringify(object)}`;
    const known = this.#known.get(key);
    if (known instanceof ConversionFailed) throw known;
    if (known) return known;
    const keep = (made: KubeObject): JsonObject => {
      const fields = fieldsOf(made);
      const problems = typeProblems(fields, rootAtom(schema));
      if (problems !== undefined) throw new ConversionFailed(problems);
      this.#known.set(key, fields);
      return fields;
    };
    const made = this.converter.convert(object as unknown as KubeObject, apiVersion);
    if (!(made instanceof Promise)) return keep(made);
    throw new ConversionAwaited(
      made.then(keep).then(
        () => undefined,
        (error: unknown) => {
          const failed = error instanceof ConversionFailed ? error : failure(error);
          this.#known.set(key, failed);
        },
      ),
    );
  }
}

const failure = (error: unknown): ConversionFailed => new ConversionFailed(messageOf(error), { cause: error });
