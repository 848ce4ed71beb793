"""Audits: is a claimed recursion right, and if not, which path is missing?"""
