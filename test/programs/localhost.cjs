// What curl and browsers do by themselves and Node does not: every name below "localhost" is this machine.
const dns = require("node:dns");
const { lookup } = dns;
dns.lookup = (name, ...rest) => lookup(name.endsWith(".localhost") ? "127.0.0.1" : name, ...rest);
