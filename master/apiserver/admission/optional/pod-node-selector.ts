import { StatusError } from "#shared/api/errors.ts";
import { namespaces, pods } from "#shared/api/resources.ts";
import type { ResourceReader } from "../../registry/reader.ts";
import type { AdmissionAttributes, AdmissionPlugin } from "../admission.ts";
import { draftOf, refusal } from "../attributes.ts";

/** Selectors as texts, `key=value,…`: by namespace, which bound those of its pods, and `clusterDefaultNodeSelector`. */
export type NodeSelectors = Readonly<Record<string, string>>;

type Labels = Readonly<Record<string, string>>;

const annotation = "scheduler.alpha.kubernetes.io/node-selector";

/** Pods get the node selector of their namespace, and may not ask for what is against it. */
export class PodNodeSelector implements AdmissionPlugin {
  readonly name = "PodNodeSelector";
  readonly resources = [pods];

  constructor(
    private readonly reader: ResourceReader,
    private readonly selectors: NodeSelectors,
  ) {}

  mutate(attributes: AdmissionAttributes): undefined {
    const spec = draftOf(attributes, pods)?.spec;
    if (!spec || attributes.operation !== "CREATE") return;
    const wanted = this.#namespaceSelector(attributes);
    assertNoConflict(attributes, wanted, spec.nodeSelector);
    const merged = { ...wanted, ...spec.nodeSelector };
    if (Object.keys(merged).length > 0) spec.nodeSelector = merged;
    this.validate(attributes);
  }

  validate(attributes: AdmissionAttributes): undefined {
    const spec = draftOf(attributes, pods)?.spec;
    if (!spec || attributes.operation !== "CREATE") return;
    const selector: Labels = spec.nodeSelector ?? {};
    assertNoConflict(attributes, this.#namespaceSelector(attributes), selector);
    const allowed = labelsIn(this.selectors[attributes.namespace ?? ""] ?? "");
    const isBound = Object.keys(allowed).length > 0;
    if (isBound && Object.entries(selector).some(([key, value]) => allowed[key] !== value))
      throw refusal(attributes, "pod node label selector labels conflict with its namespace whitelist");
  }

  #namespaceSelector({ namespace = "" }: AdmissionAttributes): Labels {
    const own = this.reader.get(namespaces, { name: namespace })?.metadata.annotations?.[annotation];
    return labelsIn(own ?? this.selectors["clusterDefaultNodeSelector"] ?? "");
  }
}

function assertNoConflict(attributes: AdmissionAttributes, wanted: Labels, selector: Labels = {}): void {
  if (Object.entries(wanted).some(([key, value]) => (selector[key] ?? value) !== value))
    throw refusal(attributes, "pod node label selector conflicts with its namespace node label selector");
}

/** As labels.ConvertSelectorToLabelsMap. Throws StatusError. */
function labelsIn(text: string): Labels {
  const pairs = text
    .split(",")
    .filter((part) => part !== "")
    .map((part) => {
      const [key = "", value, ...more] = part.split("=");
      if (value === undefined || more.length > 0) throw new StatusError("InternalError", `invalid selector: ${text}`);
      return [key.trim(), value.trim()] as const;
    });
  return Object.fromEntries(pairs);
}
