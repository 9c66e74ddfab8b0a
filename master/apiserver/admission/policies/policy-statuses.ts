/** Checks the expressions of policies against the kinds that they are about, and writes what it finds into their status. */
import { isConflict, isNotFound } from "#shared/api/errors.ts";
import { equalJson } from "#shared/api/patch/json-value.ts";
import { validatingAdmissionPolicies } from "#shared/api/resources.ts";
import type { Schema } from "#shared/api/schema/schema.ts";
import type {
  ExpressionWarning,
  ValidatingAdmissionPolicy,
} from "#shared/api/types/admissionregistration-v1.generated.ts";
import { bool, double, dyn, int, listOf, mapOf, string, type Type } from "#shared/cel/types.ts";
import type { Client } from "#shared/client/client.ts";
import type { Log } from "#shared/client/log.ts";
import { WorkQueue } from "#shared/client/work-queue.ts";
import type { ResourceReader } from "../../registry/reader.ts";
import type { ResourceTable } from "../../registry/resource-table.ts";
import type { ServedResource } from "../../registry/served-resource.ts";
import { type Compiled, compilePolicy, isFault } from "./policy.ts";

export interface PolicyStatusesOptions {
  readonly reader: ResourceReader;
  readonly resources: ResourceTable;
  readonly client: Client;
  readonly log: Log;
}

/** As upstream: more kinds than this are not looked at. */
const MAX_KINDS = 10;

export class PolicyStatuses {
  readonly #options: PolicyStatusesOptions;
  readonly #queue = new WorkQueue({ firstBackOff_ms: 50, longestBackOff_ms: 60_000 });
  #unlisten: (() => void) | undefined;

  constructor(options: PolicyStatusesOptions) {
    this.#options = options;
  }

  start(): void {
    const { reader } = this.#options;
    const look = ({ metadata }: ValidatingAdmissionPolicy): void => this.#queue.add(metadata.name ?? "");
    this.#unlisten = reader.onChange(validatingAdmissionPolicies, look);
    for (const policy of reader.list(validatingAdmissionPolicies)) look(policy);
    void this.#work();
  }

  stop(): void {
    this.#unlisten?.();
    this.#queue.shutDown();
  }

  async #work(): Promise<void> {
    for (;;) {
      const name = await this.#queue.get();
      if (name === undefined) return;
      try {
        await this.#check(name);
        this.#queue.forget(name);
      } catch (error) {
        if (!isConflict(error) && !isNotFound(error)) {
          this.#options.log.warn("the status of an admission policy could not be written", { name, error });
        }
        this.#queue.addRateLimited(name);
      } finally {
        this.#queue.done(name);
      }
    }
  }

  async #check(name: string): Promise<void> {
    const { reader, resources, client } = this.#options;
    const policy = reader.get(validatingAdmissionPolicies, { name });
    const { generation = 0 } = policy?.metadata ?? {};
    if (!policy || policy.status?.observedGeneration === generation) return;
    const warnings = typeWarnings(policy, resources);
    const typeChecking = warnings.length > 0 ? { expressionWarnings: warnings } : {};
    const status = { ...policy.status, observedGeneration: generation, typeChecking };
    if (equalJson(status, policy.status)) return;
    await client.update(validatingAdmissionPolicies, { ...policy, status }, { subresource: "status" });
  }
}

/** Kinds that a policy names outright: a wildcard names none. */
function kindsOf({ spec }: ValidatingAdmissionPolicy, resources: ResourceTable): ServedResource[] {
  const found: ServedResource[] = [];
  for (const { apiGroups = [], apiVersions = [], resources: plurals = [] } of spec.matchConstraints?.resourceRules ??
    []) {
    for (const group of apiGroups) {
      for (const version of apiVersions) {
        for (const plural of plurals) {
          const resource = resources.find(group, version, plural);
          if (resource && !found.includes(resource)) found.push(resource);
        }
      }
    }
  }
  return found.slice(0, MAX_KINDS);
}

/** What is wrong with expressions where the object is of a kind that the policy is about. Pure. */
function typeWarnings(policy: ValidatingAdmissionPolicy, resources: ResourceTable): ExpressionWarning[] {
  const texts = new Map<string, string[]>();
  for (const resource of kindsOf(policy, resources)) {
    const { schema, gvk } = resource;
    if (!schema) continue;
    const compiled = compilePolicy(policy, typeOf(schema, "Object"));
    const note = (field: string, made: Compiled | undefined): void => {
      if (!made || !isFault(made)) return;
      const problem = made.problem.replace(/^compilation failed: /, "");
      const kind = `${gvk.group === "" ? "" : gvk.group}/${gvk.version}, Kind=${gvk.kind}`.replace(/^\//, "");
      texts.set(field, [...(texts.get(field) ?? []), `${kind}: ${problem}`]);
    };
    for (const [index, { rule, message }] of compiled.validations.entries()) {
      note(`spec.validations[${index}].expression`, rule);
      note(`spec.validations[${index}].messageExpression`, message);
    }
    for (const [index, { name }] of (policy.spec.variables ?? []).entries()) {
      note(`spec.variables[${index}].expression`, compiled.variableFaults.get(name));
    }
  }
  return [...texts].map(([fieldRef, lines]) => ({ fieldRef, warning: lines.join("\n") }));
}

/** The type of a kind's objects. Schemas refer to themselves, so parts are made when they are asked for. */
function typeOf(schema: Schema, path: string): Type {
  switch (schema.goType) {
    case undefined:
      break;
    case "int32":
    case "int64":
    case "uint32":
      return int;
    case "float64":
      return double;
    case "bool":
      return bool;
    case "string":
    case "bytes":
    case "time":
    case "microTime":
    case "duration":
    case "quantity":
      return string;
    default:
      return dyn;
  }
  const { properties, additionalProperties, items } = schema;
  if (properties) return { kind: "object", name: path, fields: new LazyFields(properties, path) };
  if (additionalProperties) return mapOf(string, typeOf(additionalProperties, `${path}.@prop`));
  if (items) return listOf(typeOf(items, `${path}.@idx`));
  const scalars: Readonly<Record<string, Type>> = { string, boolean: bool, integer: int, number: double };
  return scalars[schema.type] ?? dyn;
}

class LazyFields extends Map<string, Type> {
  constructor(
    private readonly properties: ReadonlyMap<string, Schema>,
    private readonly path: string,
  ) {
    super();
  }
  override get(name: string): Type | undefined {
    const known = super.get(name);
    const property = this.properties.get(name);
    if (known || !property) return known;
    const made = typeOf(property, `${this.path}.${name}`);
    this.set(name, made);
    return made;
  }
}
