"""What /openapi.json says of requests holds, both ways: a body, query or header that breaks one of its rules is
refused, and one at the edge of every rule is not. Both are made from the document itself, so a new route is tried
as soon as it is described."""
import copy
import json
import unittest
import urllib.parse

from kennel_test import Case, make_model

# How a request is refused that does not fit its description.
UNFIT = {"json_type", "field_unknown", "field_missing", "field_range", "name_syntax", "layout"}
# Rules that no schema states: members that stand only with others. A recipe's depend on its mode.
DEPENDENT = {("callback_secret", "callback_url"), ("force", "reason")}
KEYS = "/api/v1/keys"


def rules(schema, document):
    """The schemas that a value may fit, one for each alternative."""
    while "$ref" in schema:
        node = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            node = node[part]
        schema = node
    if "oneOf" in schema:
        return [rule for one in schema["oneOf"] for rule in rules(one, document)]
    return [schema]


def types(rule):
    named = rule.get("type", [])
    return [named] if isinstance(named, str) else named


def good(rule, document):
    """Values that fit: one, and those at the edges."""
    if "examples" in rule:
        return copy.deepcopy(rule["examples"])
    if "enum" in rule:
        return list(rule["enum"])
    kind = types(rule)[0]
    if kind == "string":
        if "pattern" in rule:
            return ["colors"]
        return [("x" * n) for n in (max(1, rule.get("minLength", 1)), rule.get("maxLength", 20))]
    if kind in ("integer", "number"):
        values = [rule[k] for k in ("minimum", "maximum") if k in rule]
        return values or [1]
    if kind == "boolean":
        return [True, False]
    if kind == "array":
        item = rules(rule["items"], document)[0] if "items" in rule else {"type": "string"}
        return [[good(item, document)[0]] * max(1, rule.get("minItems", 1))]
    if kind == "object":
        return [{name: good(rules(rule["properties"][name], document)[0], document)[0]
                 for name in rule.get("required", [])}]
    return [None]


def bad(rule, document):
    """Values that break one rule each."""
    values = []
    kinds = types(rule)
    for kind, value in (("string", "a b"), ("integer", 7), ("boolean", True), ("array", [[]]), ("object", {})):
        fits = kind in kinds or (kind == "integer" and "number" in kinds)
        if kinds and not fits:
            values.append(value)
    if "null" not in kinds and (kinds or "enum" in rule):
        values.append(None)
    if "enum" in rule:
        values += ["none of these", 7.5]
    if "minimum" in rule:
        values.append(rule["minimum"] - 1)
    if "maximum" in rule:
        values.append(rule["maximum"] + 1)
    if "integer" in kinds:
        values.append(1.5)
    if rule.get("minLength"):
        values.append("x" * (rule["minLength"] - 1))
    if "maxLength" in rule:
        values.append("x" * (rule["maxLength"] + 1))
    if "pattern" in rule:
        values.append("no such/name")
    if rule.get("additionalProperties") is False:
        values.append(dict(good(rule, document)[0], no_such_member=1))
    for name in rule.get("required", []):
        short = good(rule, document)[0]
        del short[name]
        values.append(short)
    return values


def variants(schema, document, make):
    """Values of a schema, each with one place that make() has changed: (place, value)."""
    for rule in rules(schema, document):
        for value in make(rule, document):
            yield "", value
        if "object" not in types(rule):
            continue
        base = good(rule, document)[0]
        for name, member in rule.get("properties", {}).items():
            for place, value in variants(member, document, make):
                yield f"{name}.{place}".rstrip("."), dict(copy.deepcopy(base), **{name: value})


class Contract(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make_model(cls.daemon, train=False)
        cls.document = cls.daemon.schema.document

    def operations(self):
        for template, operations in self.document["paths"].items():
            path = template.replace("{m}", "colors").replace("{d}", "colors").replace("{v}", "1")
            for method, operation in operations.items():
                yield method.upper(), path.replace("{", "").replace("}", ""), operation

    def parameters(self, operation, where):
        for parameter in operation.get("parameters", []):
            parameter = self.daemon.schema.resolve(parameter)
            if parameter["in"] == where:
                yield parameter

    def needed(self, operation):
        return {p["name"]: str(good(rules(p["schema"], self.document)[0], self.document)[0])
                for p in self.parameters(operation, "query") if p.get("required")}

    def bodies(self):
        for method, path, operation in self.operations():
            content = operation.get("requestBody", {}).get("content", {})
            # The other servers' protocols take members that they do not know.
            if "application/json" in content and not path.startswith(("/v1/", "/v2/")):
                yield method, path, content["application/json"]["schema"]

    def send(self, method, path, value):
        return self.daemon.request(method, path, json.dumps(value), {"Content-Type": "application/json"})

    def test_bodies_that_do_not_fit_are_refused(self):
        count = 0
        for method, path, schema in self.bodies():
            for place, value in variants(schema, self.document, bad):
                if not self.daemon.schema.errors(value, schema):
                    continue # it is another alternative's
                reply = self.send(method, path, value)
                self.assertIn(reply.status, (400, 422), (method, path, place, value, reply))
                self.assertIn(reply.code, UNFIT, (method, path, place, value, reply))
                count += 1
        self.assertGreater(count, 500)

    def test_bodies_at_the_edge_are_not(self):
        count = 0
        for method, path, schema in self.bodies():
            if path == KEYS: # from the first key on every request needs one
                continue
            for place, value in variants(schema, self.document, good):
                reply = self.send(method, path, value)
                depends = "recipe" in place or any(place == name and other in reply.json.get("detail", "")
                                                   for name, other in DEPENDENT)
                fits = reply.status < 400 or reply.code not in UNFIT or depends
                self.assertTrue(fits, (method, path, place, value, reply))
                count += 1
        self.assertGreater(count, 150)

    def check_parameters(self, where, ask):
        count = 0
        for method, path, operation in self.operations():
            if "text/event-stream" in operation["responses"].get("200", {}).get("content", {}):
                needed = {"follow": "false"}
            else:
                needed = self.needed(operation)
            for parameter in self.parameters(operation, where):
                for rule in rules(parameter["schema"], self.document):
                    for value in bad(rule, self.document):
                        if isinstance(value, (dict, list)) or value is None or "string" in types(rule) and not (
                                isinstance(value, str)):
                            continue # there is no such text
                        if isinstance(value, int) and "number" in types(rule) and "minimum" not in rule:
                            continue
                        reply = ask(method, path, needed, parameter["name"], value)
                        problem = reply.status in (400, 422)
                        self.assertTrue(problem, (method, path, parameter["name"], value, reply))
                        count += 1
                    for value in good(rule, self.document):
                        if (parameter["name"], value) == ("follow", "true"):
                            continue # has no end
                        reply = ask(method, path, needed, parameter["name"], value)
                        fits = reply.status < 400 or reply.code not in UNFIT
                        self.assertTrue(fits, (method, path, parameter["name"], value, reply))
                        count += 1
        return count

    def test_query(self):
        def ask(method, path, needed, name, value):
            query = urllib.parse.urlencode(dict(needed, **{name: value}))
            return self.daemon.request(method, f"{path}?{query}")
        self.assertGreater(self.check_parameters("query", ask), 60)

    def test_headers(self):
        def ask(method, path, needed, name, value):
            query = urllib.parse.urlencode(needed)
            return self.daemon.request(method, f"{path}?{query}" if query else path, headers={name: str(value)})
        self.assertGreater(self.check_parameters("header", ask), 20)

    def test_unknown_names(self):
        for method, path, operation in self.operations():
            if not operation.get("x-kennel-any-query"):
                reply = self.daemon.request(method, f"{path}?no_such_name=1")
                self.assertEqual((reply.status, reply.code), (400, "field_unknown"), (method, path))

    def test_required_parameters(self):
        for method, path, operation in self.operations():
            if self.needed(operation):
                reply = self.daemon.request(method, path, b"x", {"Content-Type": "application/octet-stream"})
                if reply.status != 415:
                    self.assertEqual(reply.code, "field_missing", (method, path, reply))


if __name__ == "__main__":
    unittest.main()
