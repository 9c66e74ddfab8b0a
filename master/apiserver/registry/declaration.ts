import type { FieldError } from "#shared/api/errors.ts";
import type { KubeObject } from "#shared/api/object.ts";
import type { PublishedCustomResource } from "#shared/api/openapi/published-resource.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { Schema } from "#shared/api/schema/schema.ts";
import type { LabelSelector } from "#shared/api/selector/label-selector.ts";
import type { ObjectMeta, TableRowCondition } from "#shared/api/types/meta-v1.generated.ts";
import type { User } from "../request.ts";
import type { MetadataRules } from "../resources/validation/object-meta.ts";

/**
 * All that the API server knows about one resource. Built-in kinds are constants under resources/; a
 * CustomResourceDefinition becomes one at run time. Generic code serves every verb from it.
 */
export interface ResourceDeclaration<T extends KubeObject = KubeObject> {
  /** Group, kind, plural, scope and the version that is stored. */
  readonly ref: ResourceRef<T>;
  /** Defaults to the lower-cased kind. */
  readonly singular?: string | undefined;
  readonly listKind?: string | undefined;
  readonly shortNames?: readonly string[] | undefined;
  readonly categories?: readonly string[] | undefined;
  /** Further served versions; same shape unless `convert` is given. The stored version is `ref.version`. */
  readonly versions?: readonly ServedVersion[] | undefined;
  /** Absent: all of create, delete, deletecollection, get, list, patch, update, watch. Virtual kinds (reviews) list `create` only. */
  readonly verbs?: readonly string[] | undefined;
  /** What discovery names instead of `verbs`, in this order. */
  readonly discoveredVerbs?: readonly string[] | undefined;
  readonly subresources?: Readonly<Record<string, SubresourceDeclaration>> | undefined;
  readonly columns?: readonly TableColumn<T>[] | undefined;
  /** In what order a table shows the objects of a list; left out, as they are listed. */
  rowOrder?(a: T, b: T): number;
  /** What else a row of a table says of its object; [] for nothing. */
  rowConditions?(object: T): readonly TableRowCondition[];
  /** Beyond metadata.name and metadata.namespace. The value is compared as text. */
  readonly selectableFields?: Readonly<Record<string, FieldGetter<T>>> | undefined;
  /** Selecting by metadata.namespace is refused too. */
  readonly refusesNamespaceField?: boolean | undefined;
  /** What is said of a field that cannot be selected by, where a kind has words of its own. */
  unknownField?(field: string, version: string): string;
  readonly strategy?: Strategy<T> | undefined;
  /** `volatile`: kept in memory only, on a single master (master/store/routed-engine.ts). `batched`: written in rare batches. */
  readonly storage?: "durable" | "volatile" | "batched" | undefined;
  /** The same stored objects under another group (events of events.k8s.io are core's): reads and writes go to `ref`'s
   *  keys and watch cache through these two, and the strategy judges the stored form. Absent: stored under its own `ref`. */
  readonly storedAs?:
    | {
        readonly ref: ResourceRef;
        fromStored(object: KubeObject): KubeObject;
        toStored(object: KubeObject): KubeObject;
      }
    | undefined;
  /** Of a CustomResourceDefinition: its keys name the group, names of finalizers are free, and its metadata cannot be
   *  changed through /status. */
  readonly custom?: boolean | undefined;
  /** The schema of a version; built-in kinds have theirs in the generated facts. Undefined: free-form. */
  schema?(version: string): Schema | undefined;
  /** Of a custom resource: how what is stored becomes an object of a version, and back. Writes then work in the version
   *  of the request, by that version's own declaration, as each version has its own schema. */
  readonly converter?: VersionConverter | undefined;
  /** What OpenAPI shows of a custom resource's version. */
  published?(version: string): PublishedCustomResource | undefined;
  /** A kind that is computed, never stored (SelfSubjectAccessReview, TokenReview, …): answers a create. */
  readonly virtual?: VirtualHandler | undefined;
  /** The answer of a virtual kind is another object than the one that was posted: its fields have no manager. */
  readonly answersAnew?: boolean | undefined;
  /** Objects that are worked out when somebody gets or lists them, never stored (ComponentStatus, PodMetrics). May give
   *  more than the scope asks for: the answer is narrowed down to it. */
  readonly computed?: ((scope: ComputedScope) => Promise<readonly T[]>) | undefined;
  /** What an error calls the resource when a computed object is not there, where that is not its plural. */
  readonly computedName?: string | undefined;
  /** Another server may take over the group by an APIService that names a Service. */
  readonly replaceable?: boolean | undefined;
}

/** Whether an APIService that names a Service puts another server in this resource's place: custom resources stand behind those. */
export const isReplaceable = ({ replaceable, custom }: ResourceDeclaration): boolean =>
  replaceable === true || custom === true;

/** What somebody asked for, so that nothing else need be worked out. */
export interface ComputedScope {
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
  readonly labels?: Pick<LabelSelector, "matches"> | undefined;
}

/** Both may need another server's answer (conversion webhooks). They throw StatusError, and never change their arguments. */
export interface VersionConverter {
  /** Stored objects (frozen, of whatever version they were stored in) as `version` shows them: pruned, with defaults. In
   *  the same order; the same object where nothing changes. */
  read(objects: readonly KubeObject[], version: string): readonly KubeObject[] | Promise<readonly KubeObject[]>;
  /** One object, or part of one, in another version as the converter makes it: neither pruned nor with defaults. */
  convert(object: KubeObject, apiVersion: string): KubeObject | Promise<KubeObject>;
  /** An object of a served version as it is to be stored. */
  write(object: KubeObject): KubeObject | Promise<KubeObject>;
}

/** Written as a method type so that a declaration of a narrower kind is still a declaration. */
export type FieldGetter<T> = { get(object: T): string }["get"];

export interface ServedVersion {
  readonly version: string;
  /** `in process`: to the server's own parts, which work with it, and nobody else. */
  readonly served: boolean | "in process";
  readonly deprecationWarning?: string | undefined;
  /** Kubernetes' version without it, `1.38`, where that is known. */
  readonly removedRelease?: string | undefined;
  readonly convert?:
    | { fromStored(object: KubeObject): KubeObject; toStored(object: KubeObject): KubeObject }
    | undefined;
  /** Of a custom resource: the whole declaration as this version has it (columns, subresources, strategy). Its `ref` is
   *  the common one. */
  readonly declaration?: ResourceDeclaration | undefined;
}

/** All versions of a kind, its stored one included. */
export function versionsOf({ ref, versions = [] }: ResourceDeclaration): readonly ServedVersion[] {
  const isNamed = versions.some(({ version }) => version === ref.version);
  return isNamed ? versions : [{ version: ref.version, served: true }, ...versions];
}

/** A request with a body, once whoever serves it knows that it is in order. Validating admission comes in between. */
export interface Prepared<Answer> {
  /** What validating admission looks at before anything is done. */
  readonly judged: KubeObject;
  carryOut(): Promise<Answer>;
}

/** Throws StatusError where what is asked is not in order. */
export type VirtualHandler = (
  object: KubeObject,
  context: { readonly user: User; readonly namespace?: string | undefined },
) => Prepared<KubeObject>;

/** `status` and `scale` are served generically; any other is connected by name in connect/ or registry/subresources/. */
export interface SubresourceDeclaration {
  /** `get`, `update`, `patch`, `create`. */
  readonly verbs: readonly string[];
  /** The kind of its body where that is not the resource's own. */
  readonly body?: { readonly group: string; readonly version: string; readonly kind: string } | undefined;
  /** Versions of this kind that are not served any more and are taken all the same. */
  readonly formerBodyVersions?: readonly string[] | undefined;
  /** For a body of its own kind: what upstream's decoding puts where nothing stands. */
  readonly applyBodyDefaults?: ((body: KubeObject) => void) | undefined;
  /** Whether it is never shown as a table, as upstream has it. */
  readonly unprinted?: boolean | undefined;
  /** What whoever connects must be allowed as well, by whichever method: WebSockets begin with GET, but what follows is no
   *  reading. */
  readonly neededVerb?: string | undefined;
  /** Whether OPTIONS, which is no verb, is served too: it is for the server behind a proxy. */
  readonly takesOptionsMethod?: boolean | undefined;
  /** For `scale`: JSON paths as in CustomResourceSubresourceScale. */
  readonly scale?:
    | {
        readonly specReplicas: string;
        readonly statusReplicas: string;
        readonly labelSelector?: string | undefined;
        /** `specReplicas` of every API version, where there are several. */
        readonly specReplicasOf?: Readonly<Record<string, string>> | undefined;
      }
    | undefined;
  /** A subresource that takes the resource's own kind and changes a part of it (pods/resize, namespaces/finalize,
   *  certificatesigningrequests/approval): `prepare` carries over all else from `old`. Served generically, as status is. */
  readonly update?: SubresourceUpdate | undefined;
}

/** Method types, so that one of a narrower kind fits. */
export interface SubresourceUpdate<T extends KubeObject = KubeObject> {
  prepare(draft: T, old: Readonly<T>): void;
  validate(object: T, old: Readonly<T>): FieldError[];
}

export interface TableColumn<T> {
  readonly name: string;
  readonly type: "string" | "integer" | "number" | "boolean" | "date";
  readonly format?: string | undefined;
  readonly description?: string | undefined;
  /** 0 shows always; greater only with `-o wide`. */
  readonly priority?: number | undefined;
  /** A date that is shown as it is. */
  readonly isVerbatim?: boolean | undefined;
  /** `date` columns give the timestamp; the server renders the age. */
  value(object: T): string | number | boolean | undefined;
}

/** What differs between kinds on a write (rest.RESTCreateStrategy and friends upstream). Drafts are changed in place. */
export interface Strategy<T extends KubeObject = KubeObject> {
  /** Defaults that no schema fact states; schema defaults are applied before. Runs on every decode, so it must be idempotent. */
  applyDefaults?(draft: T): void;
  /** Takes nulls that are no values out of what a client wrote as a whole object; what was applied keeps its own. */
  dropNulls?(draft: T): void;
  /** Reset what a client may not set on create: status, generation (the registry sets metadata itself). */
  prepareForCreate?(draft: T): void;
  /** What upstream's defaults add when a new object is read again: nobody judges that. */
  completeCreated?(draft: T): void;
  /** Carry over what an update may not touch. Generic code already keeps status (main resource) or all but status
   *  (status subresource) from `old`, and raises metadata.generation when spec changed, if `hasStatus`/`hasGeneration`. */
  prepareForUpdate?(draft: T, old: Readonly<T>): void;
  /** The same for the status subresource, once generic code has carried over all but status. */
  prepareForStatusUpdate?(draft: T, old: Readonly<T>): void;
  readonly hasStatus?: boolean | undefined;
  /** What a write of status leaves as it was, beside spec; also by whom it is managed. */
  readonly statusResets?: readonly (readonly ["metadata"] | readonly ["metadata", keyof ObjectMeta])[] | undefined;
  /** Nobody comes to manage these by an ordinary write, where that is not just status. */
  readonly resetFields?: readonly string[] | undefined;
  /** The same for a write of status. Absent: spec, and what `statusResets` says. */
  readonly statusResetFields?: readonly string[] | undefined;
  /** The same for writes of subresources, by their name and the paths of fields: goes before what is said of status elsewhere. */
  readonly subresourceResetPaths?: Readonly<Record<string, readonly (readonly string[])[]>> | undefined;
  /** A create may bring a status (Nodes). */
  readonly keepsStatusOnCreate?: boolean | undefined;
  /** "once changed": a new object has none, and its first change gives it 1. */
  readonly hasGeneration?: boolean | "once changed" | undefined;
  /** What stands behind gates that are closed. It is not stored, but has counted as a change of the spec. */
  dropDisabled?(draft: T, old?: Readonly<T>): void;
  /** What a change of raises metadata.generation, where that is not just the spec. Compared as JSON. */
  generationBasis?(object: Readonly<T>): unknown;
  validate?(object: T): FieldError[];
  /** `warn` takes what is wrong and borne with. */
  validateUpdate?(object: T, old: Readonly<T>, warn?: (text: string) => void): FieldError[];
  validateStatusUpdate?(object: T, old: Readonly<T>, warn?: (text: string) => void): FieldError[];
  warnings?(object: T, old: Readonly<T> | undefined): string[];
  /** Who judges metadata beyond what holds for every kind. Default: the kind, finalizers without a domain included. */
  readonly metadataRules?: MetadataRules | undefined;
  readonly ignoresGenerateName?: boolean | undefined;
  /** An update has its generateName judged once more (upstream's ValidateUpdate calls its ValidateObjectMeta too). */
  readonly judgesNameOnUpdate?: boolean | undefined;
  /** Names: default is a DNS-1123 subdomain. */
  validateName?(name: string): string[];
  /** PUT to a missing name creates it (Lease, Endpoints, ConfigMap do not; upstream allows it for a few). */
  readonly allowCreateOnUpdate?: boolean | undefined;
  /** What is applied to the status of an object that is not there creates it, as upstream has it for two kinds. */
  readonly statusApplyCreates?: boolean | undefined;
  /** PUT without resourceVersion is allowed (most kinds: yes). */
  readonly allowUnconditionalUpdate?: boolean | undefined;
  /** Graceful deletion (pods): seconds to wait before the object may go; 0 is at once. */
  gracePeriodSeconds?(object: T, requested: number | undefined): number;
  /** Default propagation when the client names none: background for most, orphan for ReplicationController's past. */
  readonly defaultPropagation?: "Background" | "Foreground" | "Orphan" | "Unsupported" | undefined;
  /** Told to whoever deletes without saying what becomes of the dependents. */
  readonly propagationWarning?: string | undefined;
  /** A delete that removes the object at once answers with it; for other kinds with a Status. */
  readonly answersDeleteWithObject?: boolean | undefined;
  /** Finalizers or fields to set when a delete begins (Namespace: `spec.finalizers` gate). */
  prepareForDelete?(draft: T): void;
  /** Further gate before the object is removed from the store: Namespace is kept while spec.finalizers is not empty. */
  isRemovable?(object: T): boolean;
}
