/** What clients do, decided by a seed alone: which object, which verb, under which condition. */
import type { Random } from "../fuzz/random.ts";
import { namespaces, type Plural, plainNamespace, resources } from "./resources.ts";

/** An object that several clients work at. */
export interface Target {
  readonly plural: Plural;
  readonly namespace: string;
  readonly name: string;
}

export type Group = "a" | "b";

/** Under which version a write asks to be made: any, or the one that its client saw last, however old. */
export type Condition = "none" | "seen";

export type Operation =
  | {
      readonly verb: "create";
      readonly target: Target;
      readonly group: Group;
      readonly isHeld: boolean;
      readonly hasGeneratedName: boolean;
      readonly hasNodePort: boolean;
    }
  | { readonly verb: "update"; readonly target: Target; readonly group: Group; readonly condition: Condition }
  | {
      readonly verb: "patch";
      readonly target: Target;
      readonly type: "merge" | "json" | "apply";
      readonly group: Group;
      readonly condition: Condition;
    }
  | { readonly verb: "status"; readonly target: Target; readonly condition: Condition }
  | { readonly verb: "hold" | "release"; readonly target: Target }
  | { readonly verb: "delete"; readonly target: Target; readonly preconditions: "none" | "uid" | "version" | "both" }
  | { readonly verb: "deleteCollection"; readonly plural: Plural; readonly namespace: string; readonly group: Group }
  | { readonly verb: "get"; readonly target: Target; readonly at: "newest" | "any" | "seen" }
  | {
      readonly verb: "list";
      readonly plural: Plural;
      /** Undefined: all. */
      readonly namespace: string | undefined;
      readonly group: Group | undefined;
      readonly at: "newest" | "any" | "exact" | "notOlder";
      /** Items of a chunk; 0: all at once. */
      readonly limit: number;
    };

const names = ["p", "q"] as const;
const groups = ["a", "b"] as const;
const conditions = ["none", "seen"] as const;

const makers: readonly { readonly weight: number; readonly make: (random: Random) => Operation }[] = [
  { weight: 15, make: creation },
  { weight: 14, make: (random) => ({ verb: "update", ...written(random) }) },
  {
    weight: 18,
    make: (random) => ({ verb: "patch", type: random.pick(["merge", "json", "apply"] as const), ...written(random) }),
  },
  { weight: 5, make: statusWrite },
  { weight: 3, make: (random) => ({ verb: "hold", target: target(random) }) },
  { weight: 8, make: (random) => ({ verb: "release", target: target(random) }) },
  {
    weight: 9,
    make: (random) => ({
      verb: "delete",
      target: target(random),
      preconditions: random.pick(["none", "none", "uid", "version", "both"] as const),
    }),
  },
  {
    weight: 1,
    make: (random) => ({
      verb: "deleteCollection",
      plural: random.pick(resources).plural,
      namespace: random.pick(namespaces),
      group: random.pick(groups),
    }),
  },
  {
    weight: 12,
    make: (random) => ({
      verb: "get",
      target: target(random),
      at: random.pick(["newest", "newest", "any", "seen"] as const),
    }),
  },
  {
    weight: 10,
    make: (random) => ({
      verb: "list",
      plural: random.pick(resources).plural,
      namespace: random.pick([undefined, ...namespaces]),
      group: random.pick([undefined, ...groups]),
      at: random.pick(["newest", "newest", "any", "exact", "notOlder"] as const),
      limit: random.pick([0, 0, 1, 2, 3]),
    }),
  },
];

const weightOfAll = makers.reduce((sum, { weight }) => sum + weight, 0);

/** The next thing that a client does. */
export function nextOperation(random: Random): Operation {
  let at = random.below(weightOfAll);
  for (const { weight, make } of makers) {
    if (at < weight) return make(random);
    at -= weight;
  }
  throw new Error("the weights are summed wrongly");
}

function target(random: Random): Target {
  return {
    plural: random.pick(resources).plural,
    namespace: random.pick(namespaces),
    name: random.pick(names),
  };
}

function written(random: Random): { target: Target; group: Group; condition: Condition } {
  return { target: target(random), group: random.pick(groups), condition: random.pick(conditions) };
}

function creation(random: Random): Operation {
  return {
    verb: "create",
    target: target(random),
    group: random.pick(groups),
    isHeld: random.once(5),
    hasGeneratedName: random.once(8),
    hasNodePort: random.once(3),
  };
}

function statusWrite(random: Random): Operation {
  const plural = random.pick(resources.filter(({ hasStatus }) => hasStatus)).plural;
  const { name } = target(random);
  return {
    verb: "status",
    target: { plural, namespace: plainNamespace, name },
    condition: random.pick(conditions),
  };
}
