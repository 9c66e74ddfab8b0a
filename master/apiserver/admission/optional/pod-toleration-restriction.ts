import { StatusError } from "#shared/api/errors.ts";
import { namespaces, pods } from "#shared/api/resources.ts";
import { wellKnownTaints } from "#shared/api/scheduling/taints.ts";
import type { Toleration } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceReader } from "../../registry/reader.ts";
import { qosClass } from "../../resources/core/pod/aggregate.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../admission.ts";
import { draftOf } from "../attributes.ts";
import { areAllowed, mergeTolerations } from "./tolerations.ts";

/** For namespaces that say nothing themselves. */
export interface TolerationRules {
  readonly default: readonly Toleration[];
  /** None: any. */
  readonly whitelist: readonly Toleration[];
}

export const noTolerationRules: TolerationRules = { default: [], whitelist: [] };

const annotations = {
  default: "scheduler.alpha.kubernetes.io/defaultTolerations",
  whitelist: "scheduler.alpha.kubernetes.io/tolerationsWhitelist",
} as const;

/** Pods get the tolerations of their namespace, and may have no others than it allows. */
export class PodTolerationRestriction implements AdmissionPlugin {
  readonly name = "PodTolerationRestriction";
  readonly resources = [pods];

  constructor(
    private readonly reader: ResourceReader,
    private readonly rules: TolerationRules,
  ) {}

  mutate(attributes: AdmissionAttributes): undefined {
    const spec = draftOf(attributes, pods)?.spec;
    if (!spec) return;
    const added: Toleration[] = [];
    if (attributes.operation === "CREATE") added.push(...this.#rule(attributes, "default").tolerations);
    if (qosClass(spec) !== "BestEffort")
      added.push({ key: wellKnownTaints.memoryPressure, operator: "Exists", effect: "NoSchedule" });
    if (added.length > 0) spec.tolerations = mergeTolerations(spec.tolerations ?? [], added);
    this.validate(attributes);
  }

  validate(attributes: AdmissionAttributes): undefined {
    const { tolerations = [] } = draftOf(attributes, pods)?.spec ?? {};
    if (tolerations.length === 0) return;
    const { tolerations: allowed, scope } = this.#rule(attributes, "whitelist");
    if (!areAllowed(tolerations, allowed))
      throw new StatusError(
        "InternalError",
        `pod tolerations (possibly merged with namespace default tolerations) conflict with its ${scope} whitelist`,
      );
  }

  #rule({ namespace = "" }: AdmissionAttributes, rule: keyof TolerationRules) {
    const text = this.reader.get(namespaces, { name: namespace })?.metadata.annotations?.[annotations[rule]];
    if (text === undefined) return { tolerations: this.rules[rule], scope: "cluster" };
    return { tolerations: text === "" ? [] : tolerationsIn(text), scope: "namespace" };
  }
}

/** Throws StatusError for an annotation that cannot be read: a rule that is not understood must not be passed over. */
function tolerationsIn(text: string): Toleration[] {
  try {
    const parsed: unknown = JSON.parse(text);
    if (Array.isArray(parsed)) return parsed as Toleration[];
  } catch (cause) {
    throw new StatusError("InternalError", (cause as Error).message, { cause });
  }
  throw new StatusError(
    "InternalError",
    "json: cannot unmarshal what is no list into Go value of type []v1.Toleration",
  );
}
