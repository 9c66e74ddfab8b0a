/** Our strategies give what upstream's API server v1.35.4 gave: answers.json, recorded by record.ts. */
import { describe, expect, test } from "bun:test";
import { metadataRulesOf } from "#master/apiserver/registry/create.ts";
import type { ResourceDeclaration } from "#master/apiserver/registry/declaration.ts";
import { builtinDeclarations } from "#master/apiserver/resources/index.ts";
import { ServiceAllocation } from "#master/apiserver/resources/service-allocation.ts";
import {
  validateCommonMeta,
  validateKindMeta,
  validateObjectMetaUpdate,
} from "#master/apiserver/resources/validation/object-meta.ts";
import { type FieldError, StatusError } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import { normalizeObject } from "#shared/api/schema/normalize-object.ts";
import { schemaFor } from "#shared/api/schema/schema.ts";
import recorded from "./answers.json";
import { type Change, changed } from "./change.ts";
import { creates, statuses, updates } from "./faults.ts";
import { type Sample, samples } from "./samples.ts";

interface Answer {
  readonly path?: string;
  readonly code: number;
  readonly object?: KubeObject;
  readonly causes?: readonly { readonly field?: string; readonly reason?: string; readonly message?: string }[];
  readonly message?: string;
}
interface Series {
  readonly sample: string;
  readonly existing: KubeObject;
  readonly answers: readonly Answer[];
}
const answers = recorded as unknown as {
  readonly samples: Record<string, Answer>;
  readonly creates: readonly (Answer & { readonly sample: string })[];
  readonly updates: readonly Series[];
  readonly statuses: readonly Series[];
};

function sampleOf(name: string): Sample {
  const sample = samples[name];
  if (sample === undefined) throw new Error(`no sample ${name}`);
  return sample;
}

function declarationOf({ group, plural }: Sample): ResourceDeclaration {
  const found = builtinDeclarations.find(({ ref }) => ref.group === group && ref.plural === plural);
  if (found === undefined) throw new Error(`no declaration of ${plural}`);
  return found;
}

function normalized(object: object, { ref }: ResourceDeclaration): KubeObject {
  const schema = schemaFor(ref);
  if (schema === undefined) throw new Error(`no schema of ${ref.kind}`);
  return normalizeObject(schema, JSON.parse(JSON.stringify(object))).object as unknown as KubeObject;
}

const clock = (object: KubeObject): KubeObject => {
  const { uid, creationTimestamp, managedFields, resourceVersion, generation, selfLink, ...metadata } = object.metadata;
  return { ...object, metadata };
};

/** What the server sets at the time of the call, set as upstream had it. */
function withFactsOf(draft: KubeObject, answer: Answer): void {
  const { uid, name, creationTimestamp } = answer.object?.metadata ?? {};
  draft.metadata.uid = uid ?? "00000000-0000-0000-0000-000000000000";
  if (creationTimestamp) draft.metadata.creationTimestamp = creationTimestamp;
  if (name) draft.metadata.name ??= name;
}

async function prepareCreate(
  object: object,
  declaration: ResourceDeclaration,
  answer: Answer,
): Promise<{ draft: KubeObject; errors: FieldError[] }> {
  const draft = normalized(object, declaration);
  const { strategy } = declaration;
  strategy?.applyDefaults?.(draft);
  withFactsOf(draft, answer);
  const refused = await allocate(draft, undefined, declaration);
  if (refused) return { draft, errors: refused };
  strategy?.prepareForCreate?.(draft);
  strategy?.dropDisabled?.(draft);
  const errors = judged(draft, declaration);
  strategy?.completeCreated?.(draft);
  return { draft, errors };
}

/** What the kind itself finds, and where that is nothing, what holds for all. */
function judged(draft: KubeObject, declaration: ResourceDeclaration): FieldError[] {
  const rules = metadataRulesOf(declaration);
  // What is stored as another kind is judged as that.
  const stored = declaration.storedAs?.toStored(draft) ?? draft;
  const own = [...validateKindMeta(draft.metadata, rules), ...(declaration.strategy?.validate?.(stored) ?? [])];
  return own.length > 0 ? own : validateCommonMeta(draft.metadata, rules);
}

/** Services get their addresses before anything is judged; what the allocator refuses is all that is said. */
async function allocate(
  object: KubeObject,
  old: KubeObject | undefined,
  declaration: ResourceDeclaration,
): Promise<FieldError[] | undefined> {
  if (declaration.ref.plural !== "services") return undefined;
  const known = old === undefined ? [] : [old];
  const reader = {
    get: () => undefined,
    list: () => known as never[],
    fields: () => [],
    onChange: () => () => undefined,
  };
  try {
    await new ServiceAllocation({ reader }).mutate({
      operation: old ? "UPDATE" : "CREATE",
      declaration,
      name: object.metadata.name ?? "",
      object,
      oldObject: old,
      options: {},
      user: { name: "test", groups: [] },
      dryRun: true,
      warnings: [],
      auditAnnotations: {},
    });
    return undefined;
  } catch (error) {
    if (error instanceof StatusError) return (error.options.causes ?? []) as FieldError[];
    throw error;
  }
}

const lines = (errors: readonly { field?: string; reason?: string; message?: string }[]): string[] =>
  [...new Set(errors.map(({ field, reason, message = "" }) => `${field} | ${reason} | ${firstLine(message)}`))].sort();
/** Behind the first line stand differences for people, in a form of upstream's own. */
const firstLine = (message: string): string => {
  const line = message.split("\n")[0] ?? "";
  // Upstream prints a whole struct by the names of its Go fields.
  return line.endsWith("field is immutable") && line.includes("{") ? "Invalid value: …: field is immutable" : line;
};

function expectAnswer(errors: readonly FieldError[], answer: Answer): void {
  if (answer.causes !== undefined && answer.code === 422) expect(lines(errors)).toEqual(lines(answer.causes));
  else expect(lines(errors)).toEqual([]);
}

/** Fields that allocators and the clock set, which are tried elsewhere. */
function withoutAllocations(object: KubeObject): KubeObject {
  const copy = JSON.parse(JSON.stringify(clock(object))) as KubeObject & {
    spec?: Record<string, unknown>;
    status?: Record<string, unknown>;
  };
  if (copy.kind === "Service" && copy.spec) {
    for (const key of ["clusterIP", "clusterIPs"])
      if (copy.spec[key] && copy.spec["clusterIP"] !== "None") copy.spec[key] = "given";
    for (const port of (copy.spec["ports"] ?? []) as { nodePort?: unknown }[])
      if (port.nodePort) port.nodePort = "given";
  }
  // Who asks is known to admission.
  if (copy.kind === "CertificateSigningRequest" && copy.spec)
    for (const key of ["username", "groups", "uid", "extra"]) delete copy.spec[key];
  for (const condition of (copy.status?.["conditions"] ?? []) as { lastTransitionTime?: string }[])
    delete condition.lastTransitionTime;
  if (copy.kind === "PersistentVolume" && copy.status) delete copy.status["lastPhaseTransitionTime"];
  return copy;
}

describe("defaults", () => {
  for (const [name, answer] of Object.entries(answers.samples)) {
    test(name, async () => {
      const declaration = declarationOf(sampleOf(name));
      const { draft, errors } = await prepareCreate(sampleOf(name).object, declaration, answer);
      expectAnswer(errors, answer);
      if (answer.object === undefined) return;
      const expected = withoutAllocations(normalized(answer.object, declaration));
      expect(withoutAllocations(normalized(draft, declaration))).toEqual(expected);
    });
  }
});

/** Admission and allocation refuse some things before validation does, or in other words. */
const isValidation = ({ code, causes }: Answer): boolean =>
  code < 300 ? code > 0 : code === 422 && causes !== undefined;

describe("creates", () => {
  for (const [index, [name, path, value]] of creates.entries()) {
    const answer = answers.creates[index];
    if (answer === undefined || !isValidation(answer)) continue;
    test(`${name} ${path} ${JSON.stringify(value)?.slice(0, 90)}`, async () => {
      expect(answer.path).toBe(path);
      const declaration = declarationOf(sampleOf(name));
      const { errors } = await prepareCreate(changed(sampleOf(name).object, path, value), declaration, answer);
      expectAnswer(errors, answer);
    });
  }
});

function replay(kind: "updates" | "statuses", changes: readonly Change[]): void {
  for (const { sample, existing, answers: list } of answers[kind]) {
    const declaration = declarationOf(sampleOf(sample));
    const old = normalized(existing, declaration);
    for (const [index, [name, path, value]] of changes.filter(([each]) => each === sample).entries()) {
      const answer = list[index];
      if (answer === undefined || !isValidation(answer)) continue;
      test(`${name} ${path} ${JSON.stringify(value)?.slice(0, 90)}`, async () => {
        expect(answer.path).toBe(path);
        const { strategy } = declaration;
        const draft = normalized(changed(existing, path, value), declaration) as KubeObject & {
          spec?: unknown;
          status?: unknown;
        };
        const before = old as typeof draft;
        strategy?.applyDefaults?.(draft);
        if (kind === "updates" && strategy?.hasStatus) draft.status = structuredClone(before.status);
        if (kind === "statuses") draft.spec = structuredClone(before.spec);
        draft.metadata.uid ??= before.metadata.uid;
        const [refused, prepare, validate] =
          kind === "updates"
            ? [await allocate(draft, before, declaration), strategy?.prepareForUpdate, strategy?.validateUpdate]
            : [undefined, strategy?.prepareForStatusUpdate, strategy?.validateStatusUpdate];
        prepare?.(draft, before);
        const toStored = (object: KubeObject): KubeObject => declaration.storedAs?.toStored(object) ?? object;
        const errors = refused ?? [
          ...validateObjectMetaUpdate(draft.metadata, before.metadata, metadataRulesOf(declaration)),
          ...(validate?.(toStored(draft), toStored(before)) ?? []),
        ];
        expectAnswer(errors, answer);
        if (answer.object)
          expect(withoutAllocations(normalized(draft, declaration))).toEqual(
            withoutAllocations(normalized(answer.object, declaration)),
          );
      });
    }
  }
}

describe("updates", () => replay("updates", updates));
describe("statuses", () => replay("statuses", statuses));
