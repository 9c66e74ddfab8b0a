/** Versions of a custom resource: what is stored in one is shown in another, unchanged or as a webhook converts it. */
import { messageOf } from "#shared/api/joined-errors.ts";
import { apiVersionOf, fieldsOf, type KubeObject, parseApiVersion } from "#shared/api/object.ts";
import { cloneJson, isJsonObject } from "#shared/api/patch/json-value.ts";
import { unclassifiedError } from "#shared/api/patch/patch-error.ts";
import { DecodeError, type NormalizedObject, normalizeObject } from "#shared/api/schema/normalize-object.ts";
import type { Schema } from "#shared/api/schema/schema.ts";
import type { CustomResourceDefinition } from "#shared/api/types/apiextensions-v1.generated.ts";
import type { VersionConverter } from "../registry/declaration.ts";
import { withoutUnfitMetadata, withoutUnfitMetadataInside } from "../registry/unfit-metadata.ts";
import { applyDefaults, dropUnwantedNulls, lacksDefaults } from "./defaulting.ts";
import type { WebhookCaller, WebhookTarget } from "./webhook-client.ts";

/** As upstream: the client's own limit is all that there is, but nothing waits for ever here. */
const CONVERSION_TIMEOUT_MS = 30_000;
/** Objects in one review: a long list goes in several. */
const OBJECTS_AT_ONCE = 500;

export interface ConversionParts {
  /** By version. */
  readonly schemas: ReadonlyMap<string, Schema>;
  readonly webhooks: WebhookCaller;
}

/** The converter of a definition. */
export function versionConverter(definition: CustomResourceDefinition, parts: ConversionParts): VersionConverter {
  const { group, versions, conversion } = definition.spec;
  const storage = versions.find((version) => version.storage)?.name ?? "";
  const remote = conversion?.strategy === "Webhook" ? new ConversionWebhook(definition, parts.webhooks) : undefined;
  const to = (objects: readonly KubeObject[], apiVersion: string) =>
    remote ? remote.convert(objects, apiVersion) : objects.map((object) => ({ ...object, apiVersion }));
  const one = (object: KubeObject, apiVersion: string): KubeObject | Promise<KubeObject> => {
    if (object.apiVersion === apiVersion) return object;
    const converted = to([object], apiVersion);
    const first = (made: readonly KubeObject[]): KubeObject => made[0] ?? object;
    return converted instanceof Promise ? converted.then(first) : first(converted);
  };
  return {
    read(objects, version) {
      const apiVersion = apiVersionOf({ group, version });
      const schema = parts.schemas.get(version);
      // What the version does not know that an object rests in, no other version shows.
      const others = objects
        .filter((object) => object.apiVersion !== apiVersion)
        .map((object) => settled(object, parts.schemas.get(parseApiVersion(object.apiVersion).version)));
      if (others.length === 0) return objects.map((object) => settled(object, schema));
      const converted = to(others, apiVersion);
      const join = (made: readonly KubeObject[]): KubeObject[] => {
        const next = made[Symbol.iterator]();
        return objects.map((object) => {
          const shown = object.apiVersion === apiVersion ? object : next.next().value;
          if (!shown) throw failed(`an object was lost in conversion to ${apiVersion}`);
          return object.apiVersion === apiVersion ? settled(shown, schema) : pruned(shown, schema);
        });
      };
      return converted instanceof Promise ? converted.then(join) : join(converted);
    },
    convert: one,
    write: (object) => one(object, apiVersionOf({ group, version: storage })),
  };
}

/** Pruned and with defaults, as the schema is now; the same object where nothing is to be done. */
function settled(object: KubeObject, schema: Schema | undefined): KubeObject {
  if (!schema) return object;
  const { object: pruned, unknown } = normalized(schema, object);
  if (unknown.length === 0 && !lacksDefaults(object, schema)) return object;
  const draft = cloneJson(pruned);
  dropUnwantedNulls(draft, schema);
  applyDefaults(draft, schema);
  return draft as unknown as KubeObject;
}

/** What has been converted gets no defaults: those of the version that it rests in it has already. */
function pruned(object: KubeObject, schema: Schema | undefined): KubeObject {
  if (!schema) return object;
  const { object: known, unknown } = normalized(schema, object);
  return unknown.length === 0 ? object : (known as unknown as KubeObject);
}

/** What rests in the store may be older than the rules of today. */
function normalized(schema: Schema, object: KubeObject): Pick<NormalizedObject, "object" | "unknown"> {
  try {
    return normalizeObject(schema, object, { isOwned: true });
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    const inside = withoutUnfitMetadataInside(schema, object) as KubeObject;
    const { object: fit } = normalizeObject(schema, withoutUnfitMetadata(schema, inside));
    return { object: fit, unknown: ["metadata"] };
  }
}

interface ConversionReview {
  readonly kind?: unknown;
  readonly apiVersion?: unknown;
  readonly response?: {
    readonly uid?: unknown;
    readonly result?: { readonly status?: unknown; readonly message?: unknown };
    readonly convertedObjects?: unknown;
  };
}

class ConversionWebhook {
  readonly #target: WebhookTarget;
  readonly #kind: string;
  readonly #reviewVersion: string | undefined;
  readonly #webhooks: WebhookCaller;

  constructor({ metadata, spec }: CustomResourceDefinition, webhooks: WebhookCaller) {
    const { webhook } = spec.conversion ?? {};
    this.#target = { name: `conversion_webhook_for_${metadata.name}`, ...webhook?.clientConfig };
    this.#kind = `${spec.group}/, Kind=${spec.names.kind}`;
    this.#reviewVersion = webhook?.conversionReviewVersions?.find((each) => each === "v1" || each === "v1beta1");
    this.#webhooks = webhooks;
  }

  async convert(objects: readonly KubeObject[], apiVersion: string): Promise<KubeObject[]> {
    const converted: KubeObject[] = [];
    for (let from = 0; from < objects.length; from += OBJECTS_AT_ONCE) {
      converted.push(...(await this.#review(objects.slice(from, from + OBJECTS_AT_ONCE), apiVersion)));
    }
    return converted;
  }

  async #review(objects: readonly KubeObject[], desiredAPIVersion: string): Promise<KubeObject[]> {
    const version = this.#reviewVersion;
    if (version === undefined) throw failed("no supported conversion review versions");
    const uid = crypto.randomUUID();
    const review = {
      kind: "ConversionReview",
      apiVersion: `apiextensions.k8s.io/${version}`,
      request: { uid, desiredAPIVersion, objects },
    };
    const title = `conversion webhook for ${this.#kindOf(objects[0])} failed`;
    let answer: ConversionReview;
    try {
      answer = (await this.#webhooks.call(this.#target, review, {
        timeout_ms: CONVERSION_TIMEOUT_MS,
      })) as ConversionReview;
    } catch (error) {
      throw failed(`${title}: ${messageOf(error)}`, error);
    }
    const made = convertedObjects(answer, version, uid, title);
    if (made.length !== objects.length) {
      throw failed(`${title.replace(/ failed$/, "")} returned ${made.length} objects, expected ${objects.length}`);
    }
    return objects.map((object, index) => checked(object, made[index], desiredAPIVersion, title, index));
  }

  #kindOf(object: KubeObject | undefined): string {
    return object ? `${object.apiVersion}, Kind=${object.kind}` : this.#kind;
  }
}

const failed = (message: string, cause?: unknown): Error => unclassifiedError(message, cause);

function convertedObjects(answer: ConversionReview, version: string, uid: string, title: string): unknown[] {
  const { response } = answer;
  if (!isJsonObject(response)) throw failed(`${title}: no response provided`);
  if (version === "v1") {
    if (answer.kind !== "ConversionReview" || answer.apiVersion !== "apiextensions.k8s.io/v1") {
      const got = `${String(answer.apiVersion)}, Kind=${String(answer.kind)}`;
      throw failed(`${title}: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got ${got}`);
    }
    if (response["uid"] !== uid) {
      throw failed(`${title}: expected response.uid="${uid}", got ${JSON.stringify(response["uid"] ?? "")}`);
    }
  }
  const result = isJsonObject(response["result"]) ? response["result"] : {};
  if (result["status"] !== "Success") {
    const { message } = result;
    const why =
      typeof message === "string" && message !== ""
        ? message
        : `response.result.status was '${String(result["status"] ?? "")}', not 'Success'`;
    throw failed(`${title}: ${why}`);
  }
  const made = response["convertedObjects"];
  return Array.isArray(made) ? made : [];
}

const identity = ["name", "namespace", "uid"] as const;

/** Of metadata only labels and annotations may change. */
function checked(original: KubeObject, made: unknown, apiVersion: string, title: string, index: number): KubeObject {
  const say = (why: string): Error =>
    failed(`${title.replace(/ failed$/, "")} returned invalid converted object at index ${index}: ${why}`);
  if (!isJsonObject(made)) throw say("no object");
  if (made["apiVersion"] !== apiVersion) {
    throw say(`invalid groupVersion (expected ${apiVersion}, received ${String(made["apiVersion"])})`);
  }
  if (made["kind"] !== original.kind) {
    throw say(`invalid kind (expected ${original.kind}, received ${String(made["kind"])})`);
  }
  const metadata = made["metadata"];
  if (!isJsonObject(metadata)) throw say("missing metadata in converted object");
  for (const name of identity) {
    const [before, after] = [original.metadata[name] ?? "", metadata[name] ?? ""];
    const shown = name === "uid" ? "UID" : name;
    if (before !== after) throw say(`must have the same ${shown}: ${before} != ${String(after)}`);
  }
  const kept: Record<string, unknown> = { ...original.metadata };
  for (const name of ["labels", "annotations"]) {
    const given = metadata[name];
    if (given === undefined || given === null) delete kept[name];
    else if (isJsonObject(given) && Object.values(given).every((value) => typeof value === "string"))
      kept[name] = given;
    else throw say(`invalid metadata.${name} of type ${typeof given} in converted object`);
  }
  const { apiVersion: _version, kind: _kind, metadata: _metadata, ...rest } = fieldsOf(made as unknown as KubeObject);
  return { apiVersion, kind: original.kind, metadata: kept, ...rest } as KubeObject;
}
