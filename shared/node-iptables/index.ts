export { Iptables, IptablesError, type IptablesOptions } from "./iptables.ts";
export { type Chains, quoteWord, type Rule, type Ruleset, renderChanges, renderRule, type Table } from "./rules.ts";
