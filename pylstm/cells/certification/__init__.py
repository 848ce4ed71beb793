"""Certification: is backward the derivative of forward wherever a layer will call it?"""
