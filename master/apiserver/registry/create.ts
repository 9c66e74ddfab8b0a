/** Creates: from a decoded object to a stored one (upstream's rest.BeforeCreate and store.Create). */
import { alreadyExists, badRequest, invalid, type StatusError } from "#shared/api/errors.ts";
import { updateManagedFields } from "#shared/api/managed-fields/index.ts";
import { fieldsOf, type KubeObject } from "#shared/api/object.ts";
import { unclassifiedError } from "#shared/api/patch/patch-error.ts";
import { goQuote } from "#shared/api/selector/go-quote.ts";
import type { ManagedFieldsEntry } from "#shared/api/types/meta-v1.generated.ts";
import { KeyExistsError } from "../../store/store.ts";
import { type ObjectMetaRules, validateFurtherMeta, validateKindMeta } from "../resources/validation/object-meta.ts";
import type { Entry } from "../watch-cache/entry.ts";
import { assertStorable, atRest, toStoredText } from "../watch-cache/stored-text.ts";
import { judge, mutate } from "./admit.ts";
import type { ResourceDeclaration } from "./declaration.ts";
import { canonical } from "./decode-body.ts";
import { withoutRepeatedOwners } from "./owner-references.ts";
import { checkRevision, namesRevision } from "./revision.ts";
import { reckonManagedFields } from "./version-conversions.ts";
import { followed } from "./write-companion.ts";
import { cacheKey, entryFor, timestamp, unstoredEntry, type WriteParts, type WriteScope } from "./write-scope.ts";

/** As upstream: without vowels, so that no words come out. */
const suffixAlphabet = "bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH = 5;
const MAX_GENERATED = 63 - SUFFIX_LENGTH;
const GENERATE_ATTEMPTS = 8;

export interface Creation {
  /** In the served version; owned by this call. */
  readonly object: KubeObject;
  /** From an apply, which has worked them out already. */
  readonly managedFields?: readonly ManagedFieldsEntry[] | undefined;
  /** By an update or apply of what is not there: upstream takes nothing out of what was sent, and asks of its revision only
   *  that it is a number. */
  readonly byUpdate?: boolean;
  /** Asked once the object has no faults, before anything judges it; throws where the user may not create it. */
  readonly mayCreate?: (() => Promise<void>) | undefined;
}

/** Creates an object and answers with it once every reader sees it. Throws StatusError. */
export async function create(parts: WriteParts, scope: WriteScope, creation: Creation): Promise<Entry> {
  const { resource } = scope;
  const { strategy } = resource.workingDeclaration;
  const draft = resource.toWorking(creation.object);
  if (creation.managedFields === undefined) strategy?.dropNulls?.(draft);
  strategy?.applyDefaults?.(draft);
  const { metadata } = draft;
  matchNamespace(scope, draft);
  if (!creation.byUpdate) {
    delete metadata.selfLink;
    delete metadata.deletionTimestamp;
    delete metadata.deletionGracePeriodSeconds;
  }
  if (creation.managedFields === undefined) withoutRepeatedOwners(draft, scope.warnings, "sent");
  metadata.managedFields = [...(creation.managedFields ?? (await managedFieldsOf(parts, scope, draft)) ?? [])];
  if (metadata.managedFields.length === 0) delete metadata.managedFields;
  await mutate(parts, scope, { operation: "CREATE", name: metadata.name ?? "", object: draft });
  withoutRepeatedOwners(draft, scope.warnings, "admitted");
  if (creation.byUpdate) checkRevision(draft.metadata.resourceVersion);
  if (strategy?.hasStatus && !strategy.keepsStatusOnCreate) delete fieldsOf(draft)["status"];
  draft.metadata.creationTimestamp = timestamp(parts);
  draft.metadata.uid = crypto.randomUUID();
  const { name, generateName } = draft.metadata;
  const generates = !name && !!generateName;
  if (generates) draft.metadata.name = generatedName(generateName);
  // Sees the UID and the name: a Job selects its pods by them.
  strategy?.prepareForCreate?.(draft);
  strategy?.dropDisabled?.(draft);
  if (strategy?.hasGeneration === true) draft.metadata.generation = 1;
  return insertNamed(parts, scope, draft, { generates, creation });
}

function matchNamespace({ namespace, resource }: WriteScope, { metadata }: KubeObject): void {
  if (!resource.declaration.ref.namespaced) {
    delete metadata.namespace;
    return;
  }
  if (metadata.namespace && metadata.namespace !== namespace) {
    throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  }
  if (namespace) metadata.namespace = namespace;
}

function managedFieldsOf(
  parts: WriteParts,
  scope: WriteScope,
  draft: KubeObject,
): Promise<readonly ManagedFieldsEntry[] | undefined> {
  const next = scope.resource.fromWorking(draft);
  const written = { live: undefined, next, manager: scope.manager, now: timestamp(parts) };
  return reckonManagedFields(scope, (managed) => updateManagedFields({ ...managed, ...written }));
}

/** Takes another name for `generateName` when the first is taken already. */
async function insertNamed(
  parts: WriteParts,
  scope: WriteScope,
  draft: KubeObject,
  { generates, creation }: { readonly generates: boolean; readonly creation: Creation },
): Promise<Entry> {
  for (let attempt = 1; ; attempt += 1) {
    if (attempt > 1) draft.metadata.name = generatedName(draft.metadata.generateName ?? "");
    try {
      return await insert(parts, scope, draft, creation);
    } catch (error) {
      if (!(error instanceof KeyExistsError)) throw error;
      if (!generates || attempt === GENERATE_ATTEMPTS) throw existsAlready(scope, draft.metadata.name ?? "");
    }
  }
}

function generatedName(base: string): string {
  let name = base.slice(0, MAX_GENERATED);
  for (const byte of crypto.getRandomValues(new Uint8Array(SUFFIX_LENGTH))) {
    name += suffixAlphabet[byte % suffixAlphabet.length];
  }
  return name;
}

/** By what rules a declaration's objects have their metadata judged. */
export function metadataRulesOf({ ref, strategy, custom = false }: ResourceDeclaration): ObjectMetaRules {
  return {
    namespaced: ref.namespaced,
    validateName: strategy?.validateName,
    metadataRules: strategy?.metadataRules ?? (custom ? "names" : "kind"),
    ignoresGenerateName: strategy?.ignoresGenerateName,
  };
}

function existsAlready(scope: WriteScope, name: string): StatusError {
  const error = alreadyExists(scope.resource.name, name);
  const present = scope.stored.cache.get(cacheKey(scope, name))?.view();
  if (!present?.metadata.deletionTimestamp) return error;
  error.message = `object is being deleted: ${error.message}`;
  return error;
}

async function insert(
  parts: WriteParts,
  scope: WriteScope,
  draft: KubeObject,
  { byUpdate = false, mayCreate }: Creation,
): Promise<Entry> {
  const { resource, stored } = scope;
  const { strategy } = resource.workingDeclaration;
  const name = draft.metadata.name ?? "";
  const rules = metadataRulesOf(resource.workingDeclaration);
  const own = [...validateKindMeta(draft.metadata, rules), ...(strategy?.validate?.(draft) ?? [])];
  // What holds for every kind is said only where the kind has nothing to say.
  const faults = own.length > 0 ? own : validateFurtherMeta(draft.metadata, rules);
  if (faults.length > 0) throw invalid(resource.judgedKind, name, faults);
  scope.warnings.push(...(strategy?.warnings?.(draft, undefined) ?? []));
  strategy?.completeCreated?.(draft);
  const judged = canonical(draft, resource.workingSchema);
  await mayCreate?.();
  await judge(parts, scope, { operation: "CREATE", name, object: judged });
  const made = await resource.toRest(judged);
  const key = cacheKey(scope, name);
  // Bytes out of a path: what rests is text.
  if (!key.isWellFormed()) throw badRequest(`${goQuote(name)} is no name: it is not UTF-8`);
  if (scope.dryRun) {
    if (stored.cache.get(key)) throw new KeyExistsError(key);
    return unstoredEntry(scope, key, made);
  }
  const object = atRest(made);
  const text = toStoredText(object);
  // The store refuses it, after all that judges the object; a dry run does not get there.
  if (!byUpdate && namesRevision(draft.metadata.resourceVersion)) {
    throw unclassifiedError("resourceVersion should not be set on objects to be created");
  }
  assertStorable(text, stored.declaration.custom === true);
  const storeKey = stored.cache.prefix + key;
  parts.hub.offer(storeKey, text, object);
  try {
    const revision = await parts.store.create(storeKey, text);
    await parts.hub.waitFor(revision);
    await followed(parts, scope, { after: object });
    const cached = stored.cache.get(key);
    return cached?.revision === revision ? cached : entryFor(scope, key, revision, text, object);
  } finally {
    parts.hub.withdraw(storeKey);
  }
}
