import { replicaSets } from "#shared/api/resources.ts";
import { labelSelectorOf } from "#shared/api/selector/label-selector.ts";
import { replicaController } from "./replica-controller.ts";

/** Keeps the number of pods that a ReplicaSet asks for. */
export const replicaSetController = replicaController({
  name: "replicaset-controller",
  ref: replicaSets,
  selectorOf: ({ spec }) => labelSelectorOf(spec.selector),
  templateOf: ({ spec }) => spec.template,
  tellsTerminating: true,
});
