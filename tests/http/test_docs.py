"""The page that shows /openapi.json: it needs nothing but this server, and no rule of its own policy is broken."""
import re
import unittest

from kennel_test import Case


class Docs(Case):
    options = ()

    def page(self, path, kind):
        reply = self.daemon.request("GET", path, expect=200)
        self.assertEqual(reply.header("Content-Type"), kind)
        return reply

    def test_page(self):
        page = self.page("/docs", "text/html")
        text = page.body.decode()
        own = set(re.findall(r'(?:src|href)="([^"]*)"', text))
        self.assertEqual(own, {"/docs/docs.css", "/docs/docs.js", "/openapi.json"})
        for path, kind in (("/docs/docs.css", "text/css"), ("/docs/docs.js", "text/javascript")):
            text += self.page(path, kind).body.decode()
        self.assertEqual(re.findall(r"https?:|//\w|@import|url\(", text), [], "nothing from elsewhere")
        policy = dict(rule.split(" ", 1) for rule in page.header("Content-Security-Policy").split("; "))
        self.assertEqual(policy["default-src"], "'none'")
        self.assertEqual({policy[k] for k in ("script-src", "style-src", "connect-src")}, {"'self'"})
        # What that policy forbids: scripts, handlers and styles inside the page, and text that becomes code.
        self.assertEqual(re.findall(r"<script(?! src)|<style|\sstyle=|\son\w+=|innerHTML|eval\(|new Function", text), [])

    def test_every_operation_is_in_a_group(self):
        document = self.daemon.schema.document
        groups = {tag["name"] for tag in document["tags"]}
        ids = [operation["operationId"] for operations in document["paths"].values() for operation in operations.values()]
        self.assertEqual(len(ids), len(set(ids)))
        for operations in document["paths"].values():
            for operation in operations.values():
                self.assertTrue(set(operation["tags"]) <= groups and operation["tags"], operation["operationId"])

    def test_with_keys(self):
        """The page is for everybody; what it sends needs the key that is typed into it."""
        made = self.daemon.post("/api/v1/keys", {"name": "admin", "role": "admin"}, 201).json
        self.page("/docs", "text/html")
        self.page("/docs/docs.js", "text/javascript")
        self.assertEqual(self.daemon.request("GET", "/api/v1/jobs").status, 401)
        headers = {"Authorization": f"Bearer {made['key']}"}
        self.assertEqual(self.daemon.request("GET", "/api/v1/jobs", headers=headers).status, 200)
        self.daemon.request("DELETE", f"/api/v1/keys/{made['id']}", headers=headers, expect=409)


if __name__ == "__main__":
    unittest.main()
