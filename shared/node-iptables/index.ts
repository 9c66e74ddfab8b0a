export {
  type IpSet,
  type IpSetChanges,
  type IpSetMap,
  IpSets,
  type KnownIpSets,
  renderSetChanges,
} from "./ip-sets.ts";
export { Iptables, type IptablesOptions } from "./iptables.ts";
export { IptablesError, runProgram } from "./program.ts";
export {
  type Chains,
  commentText,
  nameHash,
  quoteWord,
  type Rule,
  type Ruleset,
  renderBatches,
  renderChanges,
  renderRule,
  type Table,
} from "./rules.ts";
