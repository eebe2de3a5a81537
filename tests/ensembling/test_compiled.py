from ensembling.compiled import compiled


def test_kernel_without_a_place_for_its_machine_code_still_compiles():
    # Numba refuses to cache a function that has no file, as it does where no cache directory can be written.
    namespace = {}
    exec("def twice(number):\n    return 2 * number", namespace)
    twice = compiled(namespace["twice"])
    assert twice(21) == 42
    assert twice.signatures
